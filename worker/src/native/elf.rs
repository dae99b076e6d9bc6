//! A look at a shared library's headers before the loader sees it: glibc maps what the headers
//! claim and dies of SIGBUS when a file is cut short. And what the headers ask for must be nothing
//! that the sandbox rests on: memory that is written and run, libraries from places of their own.

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
    #[error(
        "a segment of it is both writable and executable: link it without -N (--omagic), and give no section of it both \
         flags"
    )]
    WritableCode,
    #[error(
        "it wants an executable stack: link it with `-z noexecstack`, and end assembler sources with \
         `.section .note.GNU-stack,\"\",@progbits`; nested functions of GNU C need one, so write them as plain ones"
    )]
    ExecutableStack,
    #[error("its code would have to be changed while it is loaded (text relocations): compile all of it with -fPIC")]
    TextRelocations,
    #[error(
        "it names places where libraries are to be looked for ({0}), and the sandbox opens none: link it without -rpath \
         and --audit, or remove them with `patchelf --remove-rpath`"
    )]
    Places(&'static str),
    #[error("its headers are damaged")]
    Damaged,
    #[error("it cannot be read: {0}")]
    Io(String),
}

const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
/// `PT_LOAD`, `PT_DYNAMIC`, `PT_GNU_STACK`, and `PF_X`, `PF_W` of a segment: elf.h, as all numbers here.
const LOAD: u32 = 1;
const DYNAMIC: u32 = 2;
const STACK: u32 = 0x6474_e551;
const EXECUTABLE: u32 = 1;
const WRITABLE: u32 = 2;
/// Bytes of one entry of the dynamic table, and of the largest table that is read.
const ENTRY: usize = 16;
const MAX_DYNAMIC: u64 = 64 * 1024;
const SHARED: u16 = 3;

#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = 62;
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = 183;

/// Whether the loader takes a library that says nothing of its stack for one that wants to run code there.
const STACK_BY_DEFAULT: bool = cfg!(target_arch = "x86_64");

/// Checks that everything the loader will map is there, and that it asks for nothing it must not have.
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
    let mut stack = STACK_BY_DEFAULT;
    for index in 0..u64::from(entries) {
        let offset = end(program, index * PROGRAM_HEADER as u64)?;
        reach(end(offset, PROGRAM_HEADER as u64)?, size)?;
        let mut entry = [0; PROGRAM_HEADER];
        file.read_exact_at(&mut entry, offset).map_err(io)?;
        let (flags, offset, length) = (u32_at(&entry, 4), u64_at(&entry, 8), u64_at(&entry, 32));
        match u32_at(&entry, 0) {
            LOAD if flags & (EXECUTABLE | WRITABLE) == EXECUTABLE | WRITABLE => return Err(ElfError::WritableCode),
            LOAD => reach(end(offset, length)?, size)?,
            DYNAMIC => {
                reach(end(offset, length)?, size)?;
                check_dynamic(file, offset, length)?;
            }
            STACK => stack = flags & EXECUTABLE != 0,
            _ => {}
        }
    }
    if stack { Err(ElfError::ExecutableStack) } else { Ok(()) }
}

/// Looks at what the library asks of the loader. Whoever hides the table from this look, behind another one in
/// memory, has code that runs and needs no table; the filters hold for that too.
fn check_dynamic(file: &File, offset: u64, length: u64) -> Result<(), ElfError> {
    const FLAG_TEXT_RELOCATIONS: u64 = 4;
    if length > MAX_DYNAMIC {
        return Err(ElfError::Damaged);
    }
    let mut table = vec![0; usize::try_from(length).map_err(|_| ElfError::Damaged)?];
    file.read_exact_at(&mut table, offset).map_err(|error| ElfError::Io(error.to_string()))?;
    for entry in table.chunks_exact(ENTRY) {
        match (u64_at(entry, 0), u64_at(entry, 8)) {
            (0, _) => break,
            (15, _) => return Err(ElfError::Places("DT_RPATH")),
            (29, _) => return Err(ElfError::Places("DT_RUNPATH")),
            (0x6fff_fefb, _) => return Err(ElfError::Places("DT_DEPAUDIT")),
            (0x6fff_fefc, _) => return Err(ElfError::Places("DT_AUDIT")),
            (22, _) => return Err(ElfError::TextRelocations),
            (30, flags) if flags & FLAG_TEXT_RELOCATIONS != 0 => return Err(ElfError::TextRelocations),
            _ => {}
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
    use proptest::prelude::*;
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

    /// A shared library of which one segment covers bytes 0 to 4096; bytes 512 to 544 are its dynamic table.
    fn library() -> Vec<u8> {
        let mut bytes = vec![0; 4096];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[16] = 3;
        bytes[18..20].copy_from_slice(&MACHINE.to_le_bytes());
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = 3;
        segment(&mut bytes, 0, [LOAD, EXECUTABLE], [0, 4096]);
        segment(&mut bytes, 1, [STACK, WRITABLE], [0, 0]);
        segment(&mut bytes, 2, [DYNAMIC, WRITABLE], [512, 32]);
        bytes
    }

    fn segment(bytes: &mut [u8], index: usize, kind: [u32; 2], place: [u64; 2]) {
        let header = &mut bytes[64 + index * PROGRAM_HEADER..][..PROGRAM_HEADER];
        for (at, value) in [(0, kind[0]), (4, kind[1])] {
            header[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        for (at, value) in [(8, place[0]), (32, place[1])] {
            header[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
    }

    #[test]
    fn memory_that_is_written_and_run_is_refused() {
        let mut bytes = library();
        segment(&mut bytes, 0, [LOAD, EXECUTABLE | WRITABLE | 4], [0, 4096]);
        assert_eq!(check_bytes(&bytes), Err(ElfError::WritableCode));
        let mut bytes = library();
        segment(&mut bytes, 1, [STACK, EXECUTABLE | WRITABLE | 4], [0, 0]);
        assert_eq!(check_bytes(&bytes), Err(ElfError::ExecutableStack));
        let mut bytes = library();
        segment(&mut bytes, 1, [0, 0], [0, 0]);
        let unsaid = if STACK_BY_DEFAULT { Err(ElfError::ExecutableStack) } else { Ok(()) };
        assert_eq!(check_bytes(&bytes), unsaid);
    }

    #[test]
    fn what_a_library_asks_of_the_loader_is_read_to_its_end_and_no_further() {
        let asks = |tag: u64, value: u64| {
            let mut bytes = library();
            bytes[512..520].copy_from_slice(&1u64.to_le_bytes()); // a library it needs
            bytes[528..536].copy_from_slice(&tag.to_le_bytes());
            bytes[536..544].copy_from_slice(&value.to_le_bytes());
            bytes
        };
        assert_eq!(check_bytes(&asks(22, 0)), Err(ElfError::TextRelocations));
        assert_eq!(check_bytes(&asks(30, 0xC)), Err(ElfError::TextRelocations));
        assert_eq!(check_bytes(&asks(30, 8)), Ok(()));
        for (tag, name) in
            [(15, "DT_RPATH"), (29, "DT_RUNPATH"), (0x6fff_fefc, "DT_AUDIT"), (0x6fff_fefb, "DT_DEPAUDIT")]
        {
            assert_eq!(check_bytes(&asks(tag, 7)), Err(ElfError::Places(name)));
        }
        let mut ended = asks(29, 7);
        ended[512] = 0;
        assert_eq!(check_bytes(&ended), Ok(()), "the loader stops there too");
        let mut outside = library();
        segment(&mut outside, 2, [DYNAMIC, WRITABLE], [4090, 32]);
        assert!(matches!(check_bytes(&outside), Err(ElfError::Truncated { .. })));
        let mut huge = library();
        huge.resize(200_000, 0);
        segment(&mut huge, 2, [DYNAMIC, WRITABLE], [0, 100_000]);
        assert_eq!(check_bytes(&huge), Err(ElfError::Damaged));
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

    proptest! {
        #[test]
        fn whatever_its_headers_say_it_is_refused_or_has_all_that_is_mapped(
            changes in prop::collection::vec((0_usize..560, any::<u8>()), 0..4), offset: u64, length in 0_u64..9000, cut in 0_usize..8192,
        ) {
            let mut bytes = library();
            changes.into_iter().for_each(|(at, byte)| bytes[at] = byte);
            bytes.truncate(cut);
            let _ = check_bytes(&bytes);
            for offset in [offset, offset % 4096] {
                let mut bytes = library();
                segment(&mut bytes, 0, [LOAD, EXECUTABLE], [offset, length]);
                let is_there = offset.checked_add(length).is_some_and(|end| end <= 4096);
                prop_assert_eq!(check_bytes(&bytes).is_ok(), is_there);
            }
        }
    }
}
