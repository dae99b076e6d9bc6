//! A look at a shared library's headers before the loader sees it: glibc maps what the headers
//! claim and dies of SIGBUS when a file is cut short.

use std::fs::File;
use std::os::unix::fs::FileExt;

/// Why a file is no shared library for this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum ElfError {
    #[error("it is not an ELF file{0}")]
    NotElf(&'static str),
    #[error("it is built for another processor or word size (ELF class {class}, machine {machine})")]
    OtherMachine { class: u8, machine: u16 },
    #[error("it is an ELF file but not a shared library: build it with -shared")]
    NotShared,
    #[error("it is cut short: its headers speak of {needed} bytes, the file has {size}")]
    Truncated { needed: u64, size: u64 },
    #[error("its headers are damaged")]
    Damaged,
    #[error("it cannot be read: {0}")]
    Io(String),
}

const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
const LOAD: u32 = 1;
const SHARED: u16 = 3;

#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = 62;
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = 183;

/// Checks that everything the loader will map is there.
pub fn check(file: &File) -> Result<(), ElfError> {
    let io = |error: std::io::Error| ElfError::Io(error.to_string());
    let size = file.metadata().map_err(io)?.len();
    let mut header = [0; HEADER];
    let start = HEADER.min(usize::try_from(size).unwrap_or(HEADER));
    file.read_exact_at(&mut header[..start], 0).map_err(io)?;
    if !header.starts_with(b"\x7fELF") {
        let guess = if header.starts_with(b"\0asm") { ": it is WebAssembly, name it .wasm" } else { "" };
        return Err(ElfError::NotElf(guess));
    }
    reach(HEADER as u64, size)?;
    let (class, machine) = (header[4], u16_at(&header, 18));
    if (class, header[5], machine) != (2, 1, MACHINE) {
        return Err(ElfError::OtherMachine { class, machine });
    }
    if u16_at(&header, 16) != SHARED {
        return Err(ElfError::NotShared);
    }
    let (program, entry_size, entries) = (u64_at(&header, 32), u16_at(&header, 54), u16_at(&header, 56));
    if usize::from(entry_size) != PROGRAM_HEADER {
        return Err(ElfError::Damaged);
    }
    // nobody maps the table of sections, but linkers put it last: a file without its end is a cut one
    let (sections, section_size, section_count) = (u64_at(&header, 40), u16_at(&header, 58), u16_at(&header, 60));
    reach(end(sections, u64::from(section_size) * u64::from(section_count))?, size)?;
    for index in 0..u64::from(entries) {
        let offset = end(program, index * PROGRAM_HEADER as u64)?;
        reach(end(offset, PROGRAM_HEADER as u64)?, size)?;
        let mut entry = [0; PROGRAM_HEADER];
        file.read_exact_at(&mut entry, offset).map_err(io)?;
        if u32_at(&entry, 0) == LOAD {
            reach(end(u64_at(&entry, 8), u64_at(&entry, 32))?, size)?;
        }
    }
    Ok(())
}

fn reach(needed: u64, size: u64) -> Result<(), ElfError> {
    if needed <= size { Ok(()) } else { Err(ElfError::Truncated { needed, size }) }
}

fn end(offset: u64, length: u64) -> Result<u64, ElfError> {
    offset.checked_add(length).ok_or(ElfError::Damaged)
}

fn bytes_at<const N: usize>(bytes: &[u8], offset: usize) -> [u8; N] {
    bytes.get(offset..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

fn u16_at(bytes: &[u8], offset: usize) -> u16 {
    u16::from_le_bytes(bytes_at(bytes, offset))
}

fn u32_at(bytes: &[u8], offset: usize) -> u32 {
    u32::from_le_bytes(bytes_at(bytes, offset))
}

fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    u64::from_le_bytes(bytes_at(bytes, offset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn check_bytes(bytes: &[u8]) -> Result<(), ElfError> {
        let (path, mut file) = scratch();
        file.write_all(bytes).unwrap();
        let result = check(&File::open(&path).unwrap());
        std::fs::remove_file(path).unwrap();
        result
    }

    fn scratch() -> (std::path::PathBuf, File) {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("midimon-elf-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        let file = File::create_new(&path).unwrap();
        (path, file)
    }

    /// A shared library of which one segment covers bytes 0 to 4096.
    fn library() -> Vec<u8> {
        let mut bytes = vec![0; 4096];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[16] = 3;
        bytes[18..20].copy_from_slice(&MACHINE.to_le_bytes());
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = 1;
        bytes[64] = 1;
        bytes[96..104].copy_from_slice(&4096u64.to_le_bytes());
        bytes
    }

    #[test]
    fn a_library_cut_anywhere_is_told_from_a_whole_one() {
        let library = library();
        assert_eq!(check_bytes(&library), Ok(()));
        for length in (4..4096).step_by(93) {
            let error = check_bytes(&library[..length]).unwrap_err();
            assert!(matches!(error, ElfError::Truncated { size, .. } if size == length as u64), "{length}: {error}");
        }
    }

    #[test]
    fn what_is_no_library_for_this_machine_is_named() {
        let changed = |at: usize, value: u8| {
            let mut bytes = library();
            bytes[at] = value;
            check_bytes(&bytes)
        };
        assert_eq!(changed(0, 0), Err(ElfError::NotElf("")));
        assert_eq!(changed(16, 2), Err(ElfError::NotShared));
        assert!(matches!(changed(4, 1), Err(ElfError::OtherMachine { class: 1, .. })));
        assert!(matches!(changed(18, 40), Err(ElfError::OtherMachine { machine: 40, .. })));
        assert_eq!(changed(54, 0), Err(ElfError::Damaged));
        assert!(check_bytes(b"").is_err());
        assert!(
            matches!(check_bytes(b"\0asm\x01\0\0\0"), Err(ElfError::NotElf(guess)) if guess.contains("WebAssembly"))
        );
    }

    #[test]
    fn sizes_near_the_end_of_the_number_range_are_no_panic() {
        for at in [32, 72, 96] {
            let mut bytes = library();
            bytes[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
            assert!(check_bytes(&bytes).is_err(), "{at}");
        }
    }
}
