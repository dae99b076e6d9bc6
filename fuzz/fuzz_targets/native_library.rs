//! A native plugin's file as the worker looks at it before the loader does: what is let through has
//! all the bytes that the loader maps, and no segment that is both written and run.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;

// its crate would bring the WASM runtime
#[path = "../../worker/src/native/elf.rs"]
mod elf;

static FILE: LazyLock<File> = LazyLock::new(|| {
    let path = std::env::temp_dir().join(format!("midimon-fuzz-elf-{}", std::process::id()));
    let file = File::options().read(true).write(true).create_new(true).open(&path).expect("a file");
    std::fs::remove_file(path).expect("our file");
    file
});

fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

fuzz_target!(|bytes: &[u8]| {
    FILE.set_len(0).and_then(|()| FILE.write_all_at(bytes, 0)).expect("room");
    match elf::check(&FILE) {
        Ok(()) => {
            let (at, count) = (number(&bytes[32..40]) as usize, number(&bytes[56..58]) as usize);
            for index in 0..count {
                let segment = &bytes[at + 56 * index..][..56];
                let (kind, flags) = (number(&segment[..4]), number(&segment[4..8]));
                if kind == 1 {
                    let (start, length) = (number(&segment[8..16]), number(&segment[32..40]));
                    assert!(start.checked_add(length).is_some_and(|end| end <= bytes.len() as u64));
                    assert_ne!(flags & 3, 3);
                }
            }
        }
        Err(error) => assert!(!matches!(error, elf::ElfError::Io(_)), "{error}"),
    }
});
