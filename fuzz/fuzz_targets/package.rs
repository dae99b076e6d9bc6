//! A stranger's package, whole or as the archive in it: refused with a reason,
//! or read to exactly what its manifest lists. Native code is looked at too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midimon::plugins::manifest::TARGET;
use midimon::plugins::package::{PackageFile, compress, elf};

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    let package = match kind {
        b'e' => {
            let _ = elf::examine(rest, TARGET);
            return;
        }
        // without this no change would get past the frame's checksum
        b't' => compress(rest).expect("zstd compresses everything"),
        _ => rest.to_vec(),
    };
    let taken = PackageFile::take(&mut package.as_slice()).expect("sealed memory");
    let Ok(contents) = taken.accept_unsigned().read() else { return };
    let listed: Vec<&str> = contents.manifest.files.iter().map(|file| file.name.as_str()).collect();
    let found: Vec<&str> = contents.files.iter().map(|payload| payload.entry.name.as_str()).collect();
    assert_eq!(listed, found);
    for payload in &contents.files {
        assert!(!payload.entry.name.contains(['/', '\\', '\0']) && !payload.entry.name.starts_with('.'));
        assert_eq!((payload.code.digest(), payload.code.len()), (payload.entry.sha256, payload.entry.size));
    }
    let _ = contents.native();
});
