//! Packages made by hand to attack, each refused with a sentence that names the
//! cause. Numbers are those of the catalogue in docs/abuses.md.

use super::header::{BLOCK, header};
use super::*;
use crate::plugins::manifest::FILE_NAME;
use proptest::prelude::*;
use sha2::Sha256;
use std::sync::OnceLock;
use tar::{EntryType, Header};

const MODULE: &[u8] = b"\0asm\x01\0\0\0";
const DATA: &[u8] = b"what is in the file";
const HEAD: &str = "schema = 1\nid = \"ab\"\nname = \"N\"\nversion = \"1.2.3\"\nkind = \"wasm\"\nentry = \"a.wasm\"\n\
                    description = \"D\"\nauthors = [\"A\"]\n[[capabilities]]\ncapability = \"filesystem\"\nreason = \"R\"\n";

/// One entry: its header, its bytes.
type Entry = ([u8; BLOCK], Vec<u8>);

fn entry(name: &str, bytes: &[u8]) -> Entry {
    (header(name, bytes.len() as u64), bytes.to_vec())
}

/// An entry whose header was changed, with a checksum that is right again.
fn forged(name: &str, bytes: &[u8], change: impl FnOnce(&mut Header)) -> Entry {
    let mut header = Header::from_byte_slice(&header(name, bytes.len() as u64)).clone();
    change(&mut header);
    header.set_cksum();
    (*header.as_bytes(), bytes.to_vec())
}

fn listed(files: &[(&str, &[u8])]) -> String {
    let table = |(name, bytes): &(&str, &[u8])| {
        let entry =
            FileEntry { name: (*name).to_owned(), sha256: Sha256::digest(bytes).into(), size: bytes.len() as u64 };
        entry.to_string()
    };
    files.iter().map(table).collect()
}

fn manifest() -> Vec<u8> {
    (HEAD.to_owned() + &listed(&[("a.wasm", MODULE), ("data", DATA)])).into_bytes()
}

fn good() -> Vec<Entry> {
    vec![entry(FILE_NAME, &manifest()), entry("a.wasm", MODULE), entry("data", DATA)]
}

fn archive(entries: &[Entry]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (header, bytes) in entries {
        archive.extend_from_slice(header);
        archive.extend_from_slice(bytes);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }
    archive.resize(archive.len() + 2 * BLOCK, 0);
    archive
}

fn read(package: &[u8]) -> Result<Contents, PackageError> {
    PackageFile::take(&mut &*package).unwrap().accept_unsigned().read()
}

fn read_entries(entries: &[Entry]) -> Result<Contents, PackageError> {
    read(&compress(&archive(entries)).unwrap())
}

#[track_caller]
fn refused(entries: &[Entry], expected: &str) {
    let error = read_entries(entries).unwrap_err().to_string();
    assert!(error.contains(expected), "{expected}: {error}");
    assert!(!error.chars().any(|char| char.is_control() && char != '\n'), "{error:?}");
}

/// The good package with one entry more at its end.
#[track_caller]
fn refused_with(more: Entry, expected: &str) {
    let mut entries = good();
    entries.push(more);
    refused(&entries, expected);
}

/// The good package whose last entry is another.
#[track_caller]
fn refused_for(last: Entry, expected: &str) {
    let mut entries = good();
    entries[2] = last;
    refused(&entries, expected);
}

/// The good package whose manifest is another.
#[track_caller]
fn refused_manifest(text: &str, expected: &str) {
    let mut entries = good();
    entries[0] = entry(FILE_NAME, text.as_bytes());
    refused(&entries, expected);
}

fn rename(header: &mut Header, name: &[u8]) {
    let field = &mut header.as_old_mut().name;
    field.fill(0);
    field[..name.len()].copy_from_slice(name);
}

#[test]
fn the_package_all_attacks_start_from_is_read() {
    let contents = read_entries(&good()).unwrap();
    assert_eq!((contents.files.len(), contents.manifest_bytes), (2, manifest()));
}

#[test]
fn e084_a_name_that_leads_anywhere_is_refused() {
    for (name, expected) in [
        (&b"../../.bashrc"[..], "`../../.bashrc` has a name that leads out of its directory"),
        (b"/etc/passwd", "`/etc/passwd` has a name that is absolute"),
        (b"..", "leads out of its directory"),
        (b"a/../../b", "leads out of its directory"),
        (b"..\\b", "leads out of its directory"),
        (b"sub/file", "`sub/file` has a name that names a directory"),
        (b"sub\\file", "names a directory"),
        (b"./data", "names a directory"),
        (b"a\x1b[2Jb", "`a\\u{1b}[2Jb` has a name that has control characters"),
        (b"", "has a name that is empty"),
        (b"\xff\xfe", "is not listed"),
        (b".hidden", "`.hidden` is not listed in plugin.toml"),
        ("a\u{202e}b".as_bytes(), "`a\\u{202e}b` is not listed"),
    ] {
        refused_with(forged("x", b"", |header| rename(header, name)), expected);
    }
    // in the field that is put in front of the name
    let prefix = forged("passwd", b"", |header| header.as_ustar_mut().unwrap().prefix[..4].copy_from_slice(b"/etc"));
    refused_with(prefix, "`/etc/passwd` has a name that is absolute");
    // behind a NUL, where another reader might look
    refused_for(forged("data", DATA, |header| header.as_old_mut().name[5..8].copy_from_slice(b"/..")), "another field");
}

#[test]
fn e084_what_is_no_regular_file_is_refused() {
    for (kind, expected) in [
        (EntryType::Symlink, "`x` is a symbolic link; a package has regular files only"),
        (EntryType::Link, "is a hard link"),
        (EntryType::Char, "is a device"),
        (EntryType::Block, "is a device"),
        (EntryType::Fifo, "is a FIFO"),
        (EntryType::Directory, "is a directory"),
        (EntryType::Continuous, "another form of tar"),
        (EntryType::new(b'V'), "of an unknown type"),
    ] {
        let link = |header: &mut Header| {
            header.set_entry_type(kind);
            header.set_link_name_literal("/etc/passwd").unwrap();
        };
        refused_with(forged("x", b"", link), expected);
        refused_for(forged("data", DATA, link), &expected.replace("`x`", "`data`"));
    }
    let older = |header: &mut Header| header.as_old_mut().linkflag = [0];
    refused_for(forged("data", DATA, older), "written in another form of tar");
    // a regular file that says where it links to
    let hidden = |header: &mut Header| header.set_link_name_literal("/etc/passwd").unwrap();
    refused_for(forged("data", DATA, hidden), "another field that packages leave alone");
}

#[test]
fn e084_one_name_twice_or_in_another_case_is_refused() {
    refused_with(entry("data", DATA), "`data` stands in the archive a second time");
    refused_with(entry("DATA", DATA), "`DATA` is listed as `data`; names differ by more than case");
    refused_for(entry("Data", DATA), "`Data` is listed as `data`");
    let twice = HEAD.to_owned() + &listed(&[("a.wasm", MODULE), ("data", DATA), ("Data", DATA)]);
    refused_manifest(&twice, "`Data` is there already, as `data`");
    let outside = HEAD.to_owned() + &listed(&[("a.wasm", MODULE), ("../x", DATA)]);
    refused_manifest(&outside, "`../x` cannot be a file of a package: it starts with a dot");
}

#[test]
fn e085_a_bomb_is_refused_before_it_is_unpacked() {
    let zeros = vec![0; 8 << 20];
    let text = HEAD.to_owned() + &listed(&[("a.wasm", MODULE), ("data", &zeros)]);
    let bomb = [entry(FILE_NAME, text.as_bytes()), entry("a.wasm", MODULE), entry("data", &zeros)];
    refused(&bomb, "it unpacks to over 1048576 bytes, more than 100 times its ");
    // zeros without end after the end
    for (zeros, is_expected) in [
        (8 << 20, (|error| matches!(error, PackageError::Ratio { .. })) as fn(&PackageError) -> bool),
        (1 << 19, |error| matches!(error, PackageError::Trailing)),
    ] {
        let mut endless = archive(&good());
        endless.resize(endless.len() + zeros, 0);
        let error = read(&compress(&endless).unwrap()).unwrap_err();
        assert!(is_expected(&error), "{error}");
    }
    // a million entries
    let many: Vec<Entry> = (0..2000).map(|number| entry(&format!("f{number}"), b"")).collect();
    refused(&[good(), many].concat(), "`f0` is not listed");
    let text: String = HEAD.to_owned() + &(0..64).map(|n| listed(&[(&format!("f{n}"), b"")])).collect::<String>();
    refused_manifest(&text, "`files` has more than 63 entries");
    // a manifest without end
    refused(&[entry(FILE_NAME, &vec![b'#'; 256 * 1024 + 1])], "`plugin.toml` is 262145 bytes long, over the limit");
}

#[test]
fn e085_a_size_that_lies_is_refused() {
    let sized = |size: &[u8; 12]| forged("data", DATA, |header| header.as_old_mut().size = *size);
    refused_for(sized(b"77777777777\0"), "`data` is 8589934591 bytes long, plugin.toml lists 19");
    refused_for(sized(b"00000000000\0"), "is 0 bytes long, plugin.toml lists 19");
    refused_for(sized(b"-0000000001\0"), "has a size that is no number");
    refused_for(sized(b"0000000002x\0"), "has a size that is no number");
    refused_for(sized(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), "has a size that is no number");
    refused_for(sized(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff"), "has a size that is no number");
    // the right number in GNU's binary form, and without its zeros
    refused_for(sized(b"\x80\0\0\0\0\0\0\0\0\0\0\x13"), "another field");
    refused_for(sized(b"         23\0"), "another field");
    let manifest_size = forged(FILE_NAME, b"", |header| header.as_old_mut().size = *b"77777777777\0");
    refused(&[manifest_size], "`plugin.toml` is 8589934591 bytes long, over the limit of 262144");
    let huge =
        "[[files]]\nname = \"a.wasm\"\nsha256 = \"".to_owned() + &"0".repeat(64) + "\"\nsize = 9223372036854775807\n";
    refused_manifest(&(HEAD.to_owned() + &huge), "`size` must be from 0 to 67108864");
}

#[test]
fn e086_an_id_or_version_that_could_be_a_path_or_another_id_is_refused() {
    for (from, to) in [
        ("\"ab\"", "\"..\""),
        ("\"ab\"", "\"a/b\""),
        ("\"ab\"", "\"AB\""),
        ("\"ab\"", "\"аb\""), // a Cyrillic letter
        ("\"ab\"", "\"a\u{200b}b\""),
        ("\"ab\"", "\"a\\u0000b\""),
        ("\"1.2.3\"", "\"..\""),
        ("\"1.2.3\"", "\"1.2.3/../../x\""),
        ("\"1.2.3\"", "\"migrations\""),
        ("\"1.2.3\"", "\"1.2.٣\""),
        ("\"a.wasm\"", "\"../a.wasm\""),
    ] {
        let text = String::from_utf8(manifest()).unwrap().replacen(from, to, 1);
        refused_manifest(&text, "plugin.toml:");
    }
    let long = "a".repeat(65);
    refused_manifest(&HEAD.replace("\"ab\"", &format!("\"{long}\"")), "is not a plugin id");
}

#[test]
fn e087_what_two_parsers_could_read_in_two_ways_is_refused() {
    let twice = HEAD.replace("id = \"ab\"\n", "id = \"ab\"\nid = \"cd\"\n");
    refused_manifest(&twice, "plugin.toml:3:1: duplicate key");
    refused_manifest(&HEAD.replace("schema", "hidden = 1\nschema"), "unknown key `hidden`");
    refused_with(entry(FILE_NAME, &manifest()), "`plugin.toml` stands in the archive a second time");
    refused_with(entry("Plugin.toml", &manifest()), "`Plugin.toml` stands in the archive a second time");
    let swapped = [good()[0].clone(), good()[2].clone(), good()[1].clone()];
    refused(&swapped, "`data` stands where `a.wasm` should: files come in the order of plugin.toml");
    refused(&[good()[1].clone(), good()[0].clone()], "its archive starts with `a.wasm` and not with plugin.toml");
    refused(&good()[..2], "`data` is listed in plugin.toml and missing in the archive");
    refused_with(entry("more", b"x"), "`more` is not listed in plugin.toml");
    refused_manifest(HEAD, "its plugin.toml lists no files");
    refused(&[], "its archive is empty");
    refused_manifest("\u{feff}", "plugin.toml:");
    refused(&[entry(FILE_NAME, b"schema = 1 # \xff")], "its plugin.toml is not UTF-8 text");
}

#[test]
fn e087_bytes_that_belong_to_nothing_are_refused() {
    let mut padded = archive(&good());
    let at = padded.windows(DATA.len()).rposition(|window| window == DATA).unwrap();
    padded[at + DATA.len()] = b'x';
    let error = read(&compress(&padded).unwrap()).unwrap_err().to_string();
    assert_eq!(error, "`data` is followed by bytes that belong to no file");

    let whole = archive(&good());
    let trailing = |archive: &[u8]| matches!(read(&compress(archive).unwrap()), Err(PackageError::Trailing));
    assert!(trailing(&[&whole[..], &[0]].concat()) && trailing(&[&whole[..], &whole[..]].concat()));
    let (last, rest) = (whole.len() - BLOCK, whole.len() - 2 * BLOCK);
    let mut second = whole.clone();
    second[last] = 1;
    assert!(trailing(&second), "something in the second block of zeros");
    let cut = |length: usize| matches!(read(&compress(&whole[..length]).unwrap()), Err(PackageError::Truncated));
    assert!([0, 1, 511, 512, 700, rest, last, whole.len() - 1].into_iter().all(cut));

    let package = compress(&whole).unwrap();
    let skippable = b"\x50\x2a\x4d\x18\x04\0\0\0abcd";
    for after in [&b"\0"[..], &package, skippable, b"PK\x03\x04"] {
        let error = read(&[&package, after].concat()).unwrap_err();
        assert!(matches!(error, PackageError::Trailing), "{error}");
    }
    assert!(matches!(read(&[&skippable[..], &package].concat()), Err(PackageError::NotPackage)));
    for length in 0..package.len() {
        let error = read(&package[..length]).unwrap_err();
        let told = matches!(error, PackageError::Truncated | PackageError::NotPackage);
        assert!(told, "{length}: {error}");
    }
}

#[test]
fn e087_headers_that_extend_others_are_refused() {
    for (kind, expected) in [
        (EntryType::XHeader, "is a pax header; a package has plain ustar entries only"),
        (EntryType::XGlobalHeader, "is a pax header"),
        (EntryType::GNULongName, "is a GNU header for long names"),
        (EntryType::GNULongLink, "is a GNU header for long names"),
        (EntryType::GNUSparse, "is a sparse file"),
    ] {
        let extension = forged("data", b"30 path=../../../.ssh/config\n\0", |header| header.set_entry_type(kind));
        refused(&[good()[0].clone(), extension.clone(), good()[1].clone()], expected);
        refused(&[extension], expected);
    }
    let gnu = forged("data", DATA, |header| {
        let ustar = header.as_ustar_mut().unwrap();
        (ustar.magic, ustar.version) = (*b"ustar ", *b" \0");
    });
    refused_for(gnu, "written in another form of tar");
    let old = forged("data", DATA, |header| header.as_ustar_mut().unwrap().magic = [0; 6]);
    refused_for(old, "written in another form of tar");
    let mut wrong = entry("data", DATA);
    wrong.0[0] = b'D';
    refused_for(wrong, "has a damaged header (its checksum is wrong)");
}

#[test]
fn e087_nothing_in_a_header_is_free_to_be_used() {
    type Change = fn(&mut Header);
    let changes: [(&str, Change); 9] = [
        ("mode", |header| header.set_mode(0o4755)),
        ("owner", |header| header.set_uid(1000)),
        ("group", |header| header.set_gid(1000)),
        ("time", |header| header.set_mtime(1)),
        ("user", |header| header.set_username("root").unwrap()),
        ("group's name", |header| header.set_groupname("root").unwrap()),
        ("device", |header| header.set_device_major(1).unwrap()),
        ("minor", |header| header.set_device_minor(1).unwrap()),
        ("padding", |header| header.as_ustar_mut().unwrap().pad[11] = 1),
    ];
    for (what, change) in changes {
        let mut entries = good();
        entries[2] = forged("data", DATA, change);
        let error = read_entries(&entries).unwrap_err();
        assert!(matches!(error, PackageError::Entry { fault: EntryFault::Attributes, .. }), "{what}: {error}");
        entries = good();
        entries[0] = forged(FILE_NAME, &manifest(), change);
        assert!(read_entries(&entries).is_err(), "{what}");
    }
}

#[test]
fn e088_a_file_that_is_not_the_one_listed_is_refused() {
    refused_for(entry("data", b"what is in the fil3"), "`data` does not have the SHA-256 that plugin.toml lists");
    refused_for(entry("data", b"what is in the file."), "`data` is 20 bytes long, plugin.toml lists 19");
    let exchanged = [good()[0].clone(), entry("a.wasm", DATA), entry("data", MODULE)];
    refused(&exchanged, "`a.wasm` is 19 bytes long, plugin.toml lists 8");
    let text = HEAD.to_owned() + &listed(&[("a.wasm", b"\x7fELF"), ("data", DATA)]);
    let other = [entry(FILE_NAME, text.as_bytes()), entry("a.wasm", b"\x7fELF"), entry("data", DATA)];
    refused(&other, "`a.wasm` is neither a WASM module nor a component");
    let missing = HEAD.to_owned() + &listed(&[("data", DATA)]);
    refused_manifest(&missing, "`a.wasm`, the entry for ");
}

#[test]
fn e085_a_compression_that_hides_something_is_refused() {
    let archive = archive(&good());
    assert!(matches!(read(b""), Err(PackageError::NotPackage)));
    assert!(matches!(read(&archive), Err(PackageError::NotPackage)), "not compressed");
    assert!(matches!(read(b"\x1f\x8b\x08\0\0\0\0\0"), Err(PackageError::NotPackage)), "gzip");
    let without = zstd::encode_all(archive.as_slice(), 3).unwrap();
    assert!(matches!(read(&without), Err(PackageError::NoChecksum)));
    // a window of 2 to this power, which a reader would have to keep: descriptor without size, then the window's
    // exponent; a few bytes may unpack to 1 MiB
    let window = |log: u8| read(&[0x28, 0xb5, 0x2f, 0xfd, 0x04, (log - 10) << 3, 1, 0, 0]).unwrap_err();
    for log in [31, 27, 21] {
        let error = window(log);
        assert!(matches!(&error, PackageError::Damaged(why) if why.to_string().contains("memory")), "{log}: {error}");
    }
    assert!(!window(20).to_string().contains("memory"));
    // a dictionary nobody has
    let dictionary = [0x28, 0xb5, 0x2f, 0xfd, 0x05, 0x50, 7, 1, 0, 0];
    assert!(matches!(read(&dictionary), Err(PackageError::Damaged(_))));
}

#[test]
fn e101_no_text_of_a_package_can_move_recolour_or_reorder() {
    let text = String::from_utf8(manifest()).unwrap();
    for evil in ["\\u001b[2J", "\\u009b31m", "\\u202e", "\\u200b", "\\n", "\\t", "\\u2066", "\\ufeff", "\\u0007"] {
        for (from, field) in [("\"N\"", "name"), ("\"D\"", "description"), ("\"A\"", "authors"), ("\"R\"", "reason")] {
            refused_manifest(&text.replace(from, &format!("\"x{evil}\"")), &format!("`{field}` has the character U+"));
        }
        for field in ["licence", "homepage", "id", "version", "kind", "entry", "min_midimon"] {
            let line = format!("{field} = \"x{evil}\"\n");
            let changed: String =
                text.lines().filter(|old| !old.starts_with(field)).map(|old| format!("{old}\n")).collect();
            refused_manifest(&(line + &changed), "plugin.toml:");
        }
        for table in ["settings", "actions"] {
            let more = format!("[[{table}]]\nname = \"x{evil}\"\ntype = \"string\"\n{text}");
            refused_manifest(&more, "plugin.toml:");
        }
    }
    // raw, in the text itself and in a comment
    refused_manifest(&text.replace("\"N\"", "\"\u{1b}[2J\""), "plugin.toml:");
    refused_manifest(&format!("# \u{1b}[2J\n{text}"), "plugin.toml:");
}

#[test]
fn e102_a_text_that_would_scroll_the_rest_away_is_refused() {
    let text = String::from_utf8(manifest()).unwrap();
    for (from, limit) in [("\"N\"", 80), ("\"D\"", 500), ("\"A\"", 120), ("\"R\"", 300)] {
        let long = format!("\"{}\"", "x".repeat(limit + 1));
        refused_manifest(&text.replace(from, &long), &format!("is over {limit} characters"));
    }
    let authors = format!("authors = [{}]", "\"A\", ".repeat(33));
    refused_manifest(&text.replace("authors = [\"A\"]", &authors), "`authors` has more than 32 entries");
    let asked = "[[capabilities]]\ncapability = \"midi\"\ntargets = [\"x\"]\nreason = \"R\"\n".repeat(33);
    refused_manifest(&(text + &asked), "`capabilities` has more than 32 entries");
}

fn package() -> &'static [u8] {
    static PACKAGE: OnceLock<Vec<u8>> = OnceLock::new();
    PACKAGE.get_or_init(|| compress(&archive(&good())).unwrap())
}

/// That what was read is the good package and nothing else.
fn is_the_same(contents: &Contents) -> bool {
    let bytes = |payload: &Payload| {
        let mut bytes = Vec::new();
        payload.code.reader().read_to_end(&mut bytes).unwrap();
        bytes
    };
    contents.manifest_bytes == manifest()
        && contents.files.iter().map(bytes).collect::<Vec<_>>() == [MODULE.to_vec(), DATA.to_vec()]
}

#[test]
fn no_bit_of_a_package_can_be_changed_to_give_another_content() {
    for at in 0..package().len() {
        for bit in 0..8 {
            let mut bytes = package().to_vec();
            bytes[at] ^= 1 << bit;
            // some bits of the frame's header say nothing
            assert!(read(&bytes).map_or(true, |contents| is_the_same(&contents)), "byte {at}, bit {bit}");
        }
    }
}

proptest! {
    #[test]
    fn no_change_of_the_archive_panics_or_gives_another_content(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)
    ) {
        let mut bytes = archive(&good());
        for (at, value) in changes {
            let length = bytes.len();
            bytes[at.index(length)] = value;
        }
        // the manifest vouches for everything but itself
        let manifest_end = BLOCK + manifest().len();
        let same_manifest = bytes[BLOCK..manifest_end] == manifest();
        if let Ok(contents) = read(&compress(&bytes).unwrap()) {
            prop_assert!(!same_manifest || is_the_same(&contents));
        }
    }

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let framed = [&[0x28, 0xb5, 0x2f, 0xfd][..], &bytes].concat();
        prop_assert!(read(&bytes).is_err() && read(&framed).is_err());
        prop_assert!(read(&compress(&bytes).unwrap()).is_err());
    }
}
