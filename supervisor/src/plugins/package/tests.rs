//! Packing and unpacking as it should go.

use super::*;
use crate::plugins::manifest::FILE_NAME;
use crate::plugins::minisign::{SecretKey, SignatureError};
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use tempfile::TempDir;

const MANIFEST: &str = "schema = 1\nid = \"ab\"\nname = \"N\"\nversion = \"1.2.3\"\nkind = \"wasm\"\n\
                        entry = \"a.wasm\"\ninclude = [\"data.bin\"]";
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

fn plugin() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        (FILE_NAME, MANIFEST.as_bytes()),
        ("a.wasm", MODULE),
        ("data.bin", &[7; 1000]),
        ("README.md", b"# N\n"),
        ("LICENSE-MIT", b""),
        ("README.md~", b"left by an editor"),
        ("secret.txt", b"not to be packed"),
    ] {
        fs::write(dir.path().join(name), bytes).unwrap();
    }
    fs::create_dir(dir.path().join("LICENSES")).unwrap();
    dir
}

fn read(bytes: &[u8]) -> Contents {
    PackageFile::take(&mut &*bytes).unwrap().accept_unsigned().read().unwrap()
}

fn bytes_of(payload: &Payload) -> Vec<u8> {
    let mut bytes = Vec::new();
    payload.code.reader().read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn what_is_packed_comes_out_and_nothing_else() {
    let dir = plugin();
    let packed = pack(dir.path()).unwrap();
    assert_eq!(packed.file_name, "ab-1.2.3.mmp");
    let contents = read(&packed.bytes);
    let names: Vec<&str> = contents.files.iter().map(|payload| payload.entry.name.as_str()).collect();
    assert_eq!(names, ["a.wasm", "LICENSE-MIT", "README.md", "data.bin"]);
    assert_eq!(bytes_of(contents.entry().unwrap()), MODULE);
    assert_eq!(bytes_of(&contents.files[3]), [7; 1000]);
    assert_eq!(contents.manifest, packed.manifest);
    assert!(contents.manifest_bytes.starts_with(MANIFEST.as_bytes()));
    let text = String::from_utf8(contents.manifest_bytes).unwrap();
    assert!(text.contains("# written by `midimon plugin pack`") && text.contains("size = 1000"), "{text}");
}

#[test]
fn the_same_files_give_the_same_bytes_wherever_and_whenever_they_are_packed() {
    let (first, second) = (plugin(), plugin());
    let file = File::options().write(true).open(second.path().join("a.wasm")).unwrap();
    file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
    fs::set_permissions(second.path().join("README.md"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(pack(first.path()).unwrap().bytes, pack(second.path()).unwrap().bytes);
}

#[test]
fn an_unpacked_package_packs_to_the_same_bytes_until_a_file_of_it_changes() {
    let packed = pack(plugin().path()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let contents = read(&packed.bytes);
    fs::write(dir.path().join(FILE_NAME), &contents.manifest_bytes).unwrap();
    for payload in &contents.files {
        fs::write(dir.path().join(&payload.entry.name), bytes_of(payload)).unwrap();
    }
    // what the list does not name is no part of it
    fs::write(dir.path().join("COPYING"), "more").unwrap();
    assert_eq!(pack(dir.path()).unwrap().bytes, packed.bytes);
    fs::write(dir.path().join("data.bin"), "changed").unwrap();
    let error = pack(dir.path()).unwrap_err().to_string();
    assert!(error.contains("data.bin: is not what plugin.toml lists in [[files]]; remove these tables"), "{error}");
}

#[test]
fn a_directory_is_read_as_the_package_it_would_be() {
    let dir = plugin();
    let (contents, packed) = (Contents::from_dir(dir.path()).unwrap(), pack(dir.path()).unwrap());
    assert_eq!(contents.digest, PackageFile::take(&mut packed.bytes.as_slice()).unwrap().sha256());
    assert_eq!(contents.manifest.files.len(), 4);
}

#[test]
fn a_package_is_found_through_a_link_and_must_be_a_file() {
    let dir = plugin();
    let at = |name: &str| dir.path().join(name);
    let packed = pack(dir.path()).unwrap();
    fs::write(at("x.mmp"), &packed.bytes).unwrap();
    symlink("x.mmp", at("link.mmp")).unwrap();
    let package = PackageFile::open(&at("link.mmp")).unwrap();
    assert_eq!(package.len(), packed.bytes.len() as u64);
    assert_eq!(package.blake2b(), Blake2b512Digest::of(&packed.bytes));
    assert!(package.accept_unsigned().read().is_ok());
    nix::unistd::mkfifo(&at("fifo"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    let message = |name: &str| PackageFile::open(&at(name)).unwrap_err().to_string();
    assert!(message("fifo").ends_with("fifo: is not a regular file"));
    assert!(message("LICENSES").ends_with("is not a regular file"));
    assert!(message("none.mmp").ends_with("none.mmp: there is no such file"));
    File::create(at("large")).unwrap().set_len(MAX_PACKAGE + 1).unwrap();
    assert!(message("large").contains("over the limit of 134217728"));
}

#[test]
fn what_cannot_be_packed_is_named() {
    let refused = |change: &dyn Fn(&Path), expected: &str| {
        let dir = plugin();
        change(dir.path());
        let error = pack(dir.path()).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    };
    let manifest = |dir: &Path, from: &str, to: &str| {
        fs::write(dir.join(FILE_NAME), MANIFEST.replace(from, to)).unwrap();
    };
    refused(&|dir| fs::remove_file(dir.join("a.wasm")).unwrap(), "a.wasm: there is no such file; build the plugin");
    refused(&|dir| fs::remove_file(dir.join("data.bin")).unwrap(), "data.bin: there is no such file");
    refused(&|dir| fs::write(dir.join("a.wasm"), "text").unwrap(), "`a.wasm` is neither a WASM module nor a component");
    refused(&|dir| symlink("a.wasm", dir.join("LICENSE")).unwrap(), "LICENSE: is a symbolic link");
    refused(&|dir| fs::write(dir.join("readme.md"), "").unwrap(), "differ by case only");
    refused(&|dir| manifest(dir, "entry = \"a.wasm\"", "entry = \"ä.wasm\""), "cannot be a file of a package");
    refused(&|dir| manifest(dir, "data.bin", "../x"), "plugin.toml:7:12: `../x` cannot be a file of a package");
    refused(&|dir| manifest(dir, "schema = 1", "schema = 1\nx = 2"), "plugin.toml:2:1: unknown key `x`");
    let zeros = |dir: &Path| File::create(dir.join("data.bin")).unwrap().set_len(4 << 20).unwrap();
    refused(&zeros, "what was packed would be refused: it unpacks to over 1048576 bytes");
    let huge = |dir: &Path| File::create(dir.join("data.bin")).unwrap().set_len((64 << 20) + 1).unwrap();
    refused(&huge, "data.bin: is 67108865 bytes long, over the limit of 67108864");
    let many = |dir: &Path| (0..70).for_each(|number| fs::write(dir.join(format!("README{number}")), "").unwrap());
    refused(&many, "there are 74 files to pack, over the limit of 63");
}

#[test]
fn a_signed_package_is_read_with_its_key_and_no_other() {
    let packed = pack(plugin().path()).unwrap();
    let take = || PackageFile::take(&mut packed.bytes.as_slice()).unwrap();
    let (secret, stranger) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
    let signature =
        Signature::sign(&secret, &take().blake2b(), TrustedComment::new("midimon plugin ab 1.2.3").unwrap());
    let contents = take().verify(&signature, &secret.public()).unwrap().read().unwrap();
    assert_eq!(contents.publisher, Some(secret.public()));
    assert_eq!(contents.trusted_comment, "midimon plugin ab 1.2.3");
    assert_eq!(take().accept_unsigned().read().unwrap().publisher, None);
    let error = take().verify(&signature, &stranger.public()).unwrap_err();
    assert!(matches!(error, PackageError::Signature(SignatureError::OtherKey { .. })), "{error}");
    let mut other = packed.bytes.clone();
    other.push(0);
    let error = PackageFile::take(&mut other.as_slice()).unwrap().verify(&signature, &secret.public()).unwrap_err();
    assert!(matches!(error, PackageError::Signature(SignatureError::Content)), "{error}");
}
