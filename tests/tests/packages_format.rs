//! Packages through the real program: made, signed, checked, and made by hand to
//! attack. Numbers are those of the catalogue of attacks.

use midimon::home::Home;
use midimon::plugins::manifest::{FILE_NAME, FileEntry};
use midimon::plugins::package::{compress, header};
use midimon_tests::Bed;
use midimon_tests::binaries::Binaries;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

const EXAMPLES: [&str; 5] = ["echo", "echo-c", "notes", "echo-wasm", "notes-wasm"];

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Runs `midimon`, which must succeed.
#[track_caller]
fn done(bed: &Bed, arguments: &[&str]) -> String {
    let output = bed.run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    said(&output)
}

/// Runs `midimon`, which must fail with exit code 1.
#[track_caller]
fn refused(bed: &Bed, arguments: &[&str]) -> String {
    let output = bed.run(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", said(&output));
    said(&output)
}

fn shown(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

/// Packs an example and returns the package's path.
fn pack(bed: &Bed, id: &str) -> String {
    let path = bed.path(&format!("{id}.mmp"));
    let dir = Binaries::get().plugin(id);
    done(bed, &["plugin", "pack", shown(&dir), "-o", shown(&path)]);
    shown(&path).to_owned()
}

/// What `plugin verify` says of a package nobody signed: everything but that it is fine, or what is wrong.
#[track_caller]
fn verified(bed: &Bed, package: &str) -> String {
    let text = refused(bed, &["plugin", "verify", package]);
    assert!(text.contains("FAILED  signature    it is not signed"), "{text}");
    text
}

#[test]
fn every_example_is_packed_and_packs_to_the_same_bytes_elsewhere() {
    let bed = Bed::new();
    for id in EXAMPLES {
        let (package, copy) = (pack(&bed, id), bed.install(id));
        let again = bed.path("again.mmp");
        let text = done(&bed, &["plugin", "pack", shown(&copy), "-o", shown(&again)]);
        assert_eq!(fs::read(&package).expect("a package"), fs::read(&again).expect("another"), "{id}");
        assert_eq!(text.contains("glibc 2."), !id.ends_with("wasm"), "{text}");
        let text = verified(&bed, &package);
        assert_eq!(text.matches("FAILED").count(), 1, "{text}");
        assert!(text.contains("ok      plugin.toml ") && text.contains("ok      code "), "{text}");
    }
}

#[test]
fn without_a_name_a_package_is_called_by_its_id_and_version() {
    let bed = Bed::new();
    let dir = bed.install("echo");
    let output = bed.command(&["plugin", "pack", "."]).current_dir(&dir).output().expect("midimon runs");
    assert!(output.status.success(), "{}", said(&output));
    assert!(dir.join("echo-0.1.0.mmp").is_file());
    // a package beside the manifest is no part of the next one
    let first = fs::read(dir.join("echo-0.1.0.mmp")).expect("a package");
    done(&bed, &["plugin", "pack", shown(&dir), "-o", shown(&bed.path("second.mmp"))]);
    assert_eq!(fs::read(bed.path("second.mmp")).expect("another"), first);
}

/// A manifest that lists these files; its entry is `a.wasm`.
fn manifest(more: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    const HEAD: &str =
        "schema = 1\nid = \"ab\"\nname = \"N\"\nversion = \"1.2.3\"\nkind = \"wasm\"\nentry = \"a.wasm\"\n";
    let mut text = format!("{HEAD}{more}");
    for (name, bytes) in files {
        let entry = FileEntry { name: (*name).to_owned(), sha256: sha256(bytes), size: bytes.len() as u64 };
        text.push_str(&entry.to_string());
    }
    text.into_bytes()
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    midimon::plugins::SealedCode::copy(&mut &*bytes, u64::MAX - 1).expect("sealed memory").digest()
}

const MODULE: &[u8] = b"\0asm\x01\0\0\0";
const FILES: [(&str, &[u8]); 2] = [("a.wasm", MODULE), ("data", b"data")];

fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, bytes) in entries {
        archive.extend_from_slice(&header(name, bytes.len() as u64));
        archive.extend_from_slice(bytes);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

/// What `verify` says of this archive as a package; nothing else came to be.
#[track_caller]
fn attacked(bed: &Bed, entries: &[(&str, &[u8])], expected: &str) {
    attacked_with(bed, &compress(&archive(entries)).expect("zstd"), expected);
}

/// As [`attacked`]; installing it is refused for the same reason, whatever is allowed.
#[track_caller]
fn attacked_with(bed: &Bed, package: &[u8], expected: &str) {
    let dir = bed.path("attacked");
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir(&dir).expect("a directory");
    let path = dir.join("evil.mmp");
    fs::write(&path, package).expect("a file");
    Home::at(&bed.home()).and_then(|home| home.prepare()).expect("a home");
    let before = tree(&bed.path(""));
    let text = verified(bed, shown(&path));
    assert!(text.contains(expected), "{expected}: {text}");
    assert!(!text.contains('\u{1b}') && text.matches("FAILED").count() == 2, "{text}");
    let text = refused(bed, &["plugin", "install", shown(&path), "--allow-unsigned", "--yes"]);
    assert!(text.contains(expected) && !text.contains('\u{1b}'), "{expected}: {text}");
    assert_eq!(tree(&bed.path("")), before, "something was written");
}

/// Every path below.
fn tree(dir: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        paths.push(shown(&path).to_owned());
        if path.is_dir() {
            paths.extend(tree(&path));
        }
    }
    paths.sort();
    paths
}

#[test]
fn e084_names_that_lead_out_and_files_that_are_none_are_refused() {
    let bed = Bed::new();
    let text = manifest("", &FILES);
    let [module, data] = FILES;
    let good = [(FILE_NAME, &text[..]), module, data];
    fs::write(bed.path("good.mmp"), compress(&archive(&good)).expect("zstd")).expect("a file");
    assert_eq!(verified(&bed, shown(&bed.path("good.mmp"))).matches("FAILED").count(), 1, "the positive control");
    for (name, expected) in [
        ("../../x", "`../../x` has a name that leads out of its directory"),
        ("/tmp/x", "`/tmp/x` has a name that is absolute"),
        ("DATA", "`DATA` is listed as `data`"),
        ("more", "`more` is not listed in plugin.toml"),
        ("a\u{1b}[2J", "has control characters"),
    ] {
        attacked(&bed, &[good[0], good[1], good[2], (name, b"x")], expected);
    }
    let mut link = archive(&good);
    // its last block but two is the file's content, the one before is its header
    let at = link.len() - 4 * 512;
    assert!(link[at..].starts_with(b"data\0"));
    (link[at + 156], link[at + 157]) = (b'2', b'/');
    // the checksum, a sum of bytes in octal
    let sum: u32 =
        (0..512).map(|index| if (148..156).contains(&index) { 32 } else { u32::from(link[at + index]) }).sum();
    link[at + 148..at + 155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    attacked_with(&bed, &compress(&link).expect("zstd"), "`data` is a symbolic link");
}

#[test]
fn e085_a_bomb_takes_neither_time_nor_memory() {
    let bed = Bed::new();
    let zeros = vec![0; 60 << 20];
    let text = manifest("", &[FILES[0], ("zeros", &zeros)]);
    let bomb = compress(&archive(&[(FILE_NAME, &text), FILES[0], ("zeros", &zeros)])).expect("zstd");
    assert!(bomb.len() < 20_000, "{}", bomb.len());
    let started = std::time::Instant::now();
    attacked_with(&bed, &bomb, "it unpacks to over ");
    // generous: this guards against minutes
    assert!(started.elapsed() < std::time::Duration::from_secs(10));
    // nor where there is little: no file of over 8 MiB, in memory or not, and 64 MiB to work with
    let limited = |package: &Path| {
        let mut command = Command::new("prlimit");
        command.args(["--fsize=8388608", "--data=67108864", "--"]);
        let wanted = bed.command(&["plugin", "verify", shown(package)]);
        said(&command.arg(wanted.get_program()).args(wanted.get_args()).output().expect("prlimit (util-linux)"))
    };
    let text = limited(&bed.path("attacked/evil.mmp"));
    assert!(text.contains("it unpacks to over "), "{text}");
    // the controls: an honest one passes there, and one that is really that long does not
    let honest = bed.path("honest.mmp");
    let small = vec![0; 1 << 19];
    let random: Vec<u8> =
        (0_u32..9 << 18).flat_map(|at| (at.wrapping_mul(0x9E37_79B9) ^ (at >> 7)).to_le_bytes()).collect();
    for (data, fits) in [(&small, true), (&random, false)] {
        let text = manifest("", &[FILES[0], ("data", data)]);
        let package = compress(&archive(&[(FILE_NAME, &text), FILES[0], ("data", data)])).expect("zstd");
        fs::write(&honest, package).expect("a file");
        let text = verified(&bed, shown(&honest));
        assert_eq!(text.matches("FAILED").count(), 1, "without limits both are fine: {text}");
        let text = limited(&honest);
        assert_eq!(text.contains("SHA-256 as listed"), fits, "{text}");
    }
}

#[test]
fn e086_e087_an_id_that_misleads_and_a_text_read_in_two_ways_are_refused() {
    let bed = Bed::new();
    let [module, data] = FILES;
    let changed = |from: &str, to: &str| String::from_utf8(manifest("", &FILES)).expect("text").replacen(from, to, 1);
    for (from, to, expected) in [
        ("\"ab\"", "\"..\"", "is not a plugin id"),
        ("\"ab\"", "\"\u{430}b\"", "is not a plugin id"),
        ("\"1.2.3\"", "\"../1.2.3\"", "`version`: unexpected character"),
        ("name = \"N\"", "name = \"N\"\nname = \"M\"", "duplicate key"),
        ("name = \"N\"", "name = \"N\"\nrun = \"sh\"", "unknown key `run`"),
    ] {
        attacked(&bed, &[(FILE_NAME, changed(from, to).as_bytes()), module, data], expected);
    }
    let text = manifest("", &FILES);
    let again = [(FILE_NAME, &text[..]), module, data, (FILE_NAME, &text[..])];
    attacked(&bed, &again, "`plugin.toml` stands in the archive a second time");
    let whole = compress(&archive(&again[..3])).expect("zstd");
    attacked_with(&bed, &[&whole[..], b"#!/bin/sh"].concat(), "there are bytes after its end");
}

#[test]
fn e088_a_file_other_than_the_listed_one_is_refused() {
    let bed = Bed::new();
    let text = manifest("", &FILES);
    let swapped = [(FILE_NAME, &text[..]), FILES[0], ("data", b"evil")];
    attacked(&bed, &swapped, "`data` does not have the SHA-256");
}

#[test]
fn e095_e096_a_library_that_brings_others_along_is_not_packed() {
    let bed = Bed::new();
    let dir = bed.install("echo-c");
    done(&bed, &["plugin", "pack", shown(&dir), "-o", shown(&bed.path("good.mmp"))]);
    let source = bed.path("evil.c");
    fs::write(&source, "const void *midimon_plugin_v1(void) { return 0; }\n").expect("a file");
    for (option, expected) in [
        ("-Wl,--disable-new-dtags,-rpath,$ORIGIN", "DT_RPATH"),
        ("-Wl,--enable-new-dtags,-rpath,/tmp", "DT_RUNPATH"),
        ("-Wl,--audit,/tmp/a.so", "DT_AUDIT"),
        ("-Wl,-z,execstack", "wants an executable stack"),
        ("-Wl,-soname,libc.so.6", "calls itself `libc.so.6`"),
    ] {
        let library = dir.join("libecho_c.so");
        let built =
            Command::new("cc").args(["-shared", "-fPIC", "-o", shown(&library), shown(&source), option]).status();
        assert!(built.expect("a C compiler").success());
        let text = refused(&bed, &["plugin", "pack", shown(&dir), "-o", shown(&bed.path("evil.mmp"))]);
        assert!(text.contains("`libecho_c.so` ") && text.contains(expected), "{expected}: {text}");
        assert!(!bed.path("evil.mmp").exists());
    }
}

#[test]
fn e101_e102_texts_that_move_the_cursor_or_have_no_end_are_refused() {
    let bed = Bed::new();
    let [module, data] = FILES;
    for (more, expected) in [
        ("description = \"\\u001b[2J\"\n", "`description` has the character U+001B"),
        ("authors = [\"\\u202egpj\"]\n", "`authors` has the character U+202E"),
        ("licence = \"\\u200b\"\n", "`licence` has the character U+200B"),
    ] {
        attacked(&bed, &[(FILE_NAME, &manifest(more, &FILES)), module, data], expected);
    }
    let long = format!("description = \"{}\"\n", "x".repeat(501));
    attacked(&bed, &[(FILE_NAME, &manifest(&long, &FILES)), module, data], "is over 500 characters");
}

#[test]
fn e088_a_signed_package_passes_with_its_key_until_a_byte_of_it_changes() {
    let bed = Bed::new();
    let (package, key) = (pack(&bed, "notes"), bed.path("publisher"));
    done(&bed, &["key", "generate", "-o", shown(&key), "--no-password"]);
    let (secret, public) = (bed.path("publisher.key"), bed.path("publisher.pub"));
    let text = done(&bed, &["plugin", "sign", &package, "--key", shown(&secret)]);
    assert!(text.contains("signed     notes 0.1.0"), "{text}");
    let verify = ["plugin", "verify", &package, "--key", shown(&public)];
    let text = done(&bed, &verify);
    assert!(text.contains("“midimon plugin notes 0.1.0”, signed too") && !text.contains("FAILED"), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&done(&bed, &[&verify[..], &["--json"]].concat())).expect("JSON");
    assert_eq!((&json["ok"], &json["id"], &json["version"]), (&true.into(), &"notes".into(), &"0.1.0".into()));

    // another key, and a key nobody named
    done(&bed, &["key", "generate", "-o", shown(&bed.path("stranger")), "--no-password"]);
    let stranger = bed.path("stranger.pub");
    let text = refused(&bed, &["plugin", "verify", &package, "--key", shown(&stranger)]);
    assert!(text.contains("nothing was unpacked"), "{text}");
    assert!(refused(&bed, &["plugin", "verify", &package]).contains("give it with --key"));

    let mut bytes = fs::read(&package).expect("the package");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&package, bytes).expect("the package");
    let text = refused(&bed, &verify);
    assert!(text.contains("FAILED  signature") && !text.contains("archive"), "{text}");
    // and nobody's name is put under what would be refused
    let text = refused(&bed, &["plugin", "sign", &package, "--key", shown(&secret)]);
    assert!(text.contains("its compressed data are damaged") || text.contains("SHA-256"), "{text}");
}
