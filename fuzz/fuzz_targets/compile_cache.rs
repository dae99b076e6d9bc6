//! A file where compiled code is kept, changed by whomever: it counts only when it is, byte for byte,
//! what was put there. The input is what is changed: nothing but zeros, and as long, changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midimon::plugins::SealedCode;
use midimon::plugins::compile::{Cache, CacheKey};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::{fs, iter};

const COMPILED: &[u8] = b"compiled";

struct Place {
    cache: Cache,
    key: CacheKey,
    file: PathBuf,
    genuine: Vec<u8>,
}

fn code(bytes: &[u8]) -> SealedCode {
    SealedCode::copy(&mut &*bytes, 1024).expect("sealed memory")
}

static PLACE: LazyLock<Place> = LazyLock::new(|| {
    let base = std::env::temp_dir().join(format!("midimon-fuzz-{}", std::process::id()));
    let dir = base.join("compiled");
    fs::create_dir_all(&dir).expect("a directory");
    fs::write(base.join("compile.key"), [7; 32]).expect("a file");
    fs::set_permissions(base.join("compile.key"), fs::Permissions::from_mode(0o600)).expect("our file");
    let cache = Cache::open(&dir, &base).expect("a cache");
    let key = CacheKey::new(&code(b"source"), "settings");
    cache.put(&key, &code(COMPILED)).expect("room");
    let file = fs::read_dir(&dir).expect("our directory").next().expect("one file").expect("our file").path();
    let genuine = fs::read(&file).expect("our file");
    Place { cache, key, file, genuine }
});

fuzz_target!(|bytes: &[u8]| {
    let before = PLACE.genuine.iter().chain(iter::repeat(&0));
    let bytes: Vec<u8> = bytes.iter().zip(before).map(|(change, byte)| change ^ byte).collect();
    fs::write(&PLACE.file, &bytes).expect("our file");
    let found = PLACE.cache.get(&PLACE.key);
    assert_eq!(found.is_some(), bytes == PLACE.genuine);
    assert!(found.is_none_or(|found| found.digest() == code(COMPILED).digest()));
});
