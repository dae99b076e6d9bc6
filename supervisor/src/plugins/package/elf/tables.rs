//! The tables of a shared library at the places where the loader finds them.

use super::ElfFault;
use elf::ElfBytes;
use elf::abi;
use elf::dynamic::Dyn;
use elf::endian::LittleEndian;
use elf::file::Class;
use elf::parse::{ParseAt, ParsingTable};
use elf::segment::ProgramHeader;
use elf::symbol::Symbol;

/// The smallest page of the machines there are; segments share none.
const PAGE: u64 = 4096;
/// Most segments, and most entries of a dynamic table, that are read.
const MAX_SEGMENTS: usize = 64;
const MAX_DYNAMIC: usize = 4096;

/// A library's bytes and what of them is mapped where.
pub(super) struct Image<'b> {
    bytes: &'b [u8],
    pub(super) machine: u16,
    segments: Vec<ProgramHeader>,
}

impl<'b> Image<'b> {
    pub(super) fn parse(bytes: &'b [u8]) -> Result<Self, ElfFault> {
        if !bytes.starts_with(b"\x7fELF") {
            return Err(ElfFault::NotElf);
        }
        let damaged = |_| ElfFault::Damaged("its headers lead out of the file");
        if bytes.get(4..6) != Some(&[abi::ELFCLASS64, abi::ELFDATA2LSB]) {
            return Err(ElfFault::OtherMachine("the 64-bit, little-endian machines there are plugins for".to_owned()));
        }
        let file = ElfBytes::<LittleEndian>::minimal_parse(bytes).map_err(damaged)?;
        if file.ehdr.e_type != abi::ET_DYN {
            return Err(ElfFault::NotShared);
        }
        let segments = file.segments().ok_or(ElfFault::Damaged("it has no segments"))?;
        if segments.len() > MAX_SEGMENTS {
            return Err(ElfFault::Damaged("it has too many segments"));
        }
        Ok(Self { bytes, machine: file.ehdr.e_machine, segments: segments.iter().collect() })
    }

    fn of_type(&self, kind: u32) -> impl Iterator<Item = &ProgramHeader> {
        self.segments.iter().filter(move |segment| segment.p_type == kind)
    }

    /// That segments are in the file, in order, on pages of their own, and never writable code.
    pub(super) fn check_segments(&self) -> Result<(), ElfFault> {
        let mut free = 0;
        for segment in self.of_type(abi::PT_LOAD) {
            if segment.p_flags & abi::PF_W != 0 && segment.p_flags & abi::PF_X != 0 {
                return Err(ElfFault::WritableCode);
            }
            let in_file =
                segment.p_offset.checked_add(segment.p_filesz).is_some_and(|end| end <= self.bytes.len() as u64);
            let end = segment.p_vaddr.checked_add(segment.p_memsz).and_then(|end| end.checked_next_multiple_of(PAGE));
            let (true, Some(end)) = (in_file && segment.p_filesz <= segment.p_memsz, end) else {
                return Err(ElfFault::Damaged("a segment leads out of the file"));
            };
            if segment.p_vaddr / PAGE * PAGE < free || segment.p_vaddr % PAGE != segment.p_offset % PAGE {
                return Err(ElfFault::Damaged("its segments lie over one another"));
            }
            free = end;
        }
        let stack = self.of_type(abi::PT_GNU_STACK).map(|stack| stack.p_flags & abi::PF_X != 0);
        // the loader gives an executable stack to who says nothing, on some machines
        if stack.reduce(|first, second| first || second).unwrap_or(true) {
            return Err(ElfFault::ExecutableStack);
        }
        Ok(())
    }

    /// The file's bytes that are mapped at an address and behind it, in one segment.
    pub(super) fn from(&self, address: u64) -> Result<&'b [u8], ElfFault> {
        let found = self.of_type(abi::PT_LOAD).find_map(|segment| {
            let inside = address.checked_sub(segment.p_vaddr).filter(|inside| *inside < segment.p_filesz)?;
            let start = usize::try_from(segment.p_offset.checked_add(inside)?).ok()?;
            let end = usize::try_from(segment.p_offset.checked_add(segment.p_filesz)?).ok()?;
            self.bytes.get(start..end)
        });
        found.ok_or(ElfFault::Damaged("a table of it is not in the file"))
    }

    /// `size` bytes at an address.
    fn slice(&self, address: u64, size: u64) -> Result<&'b [u8], ElfFault> {
        let bytes = self.from(address)?;
        let size = usize::try_from(size).ok();
        size.and_then(|size| bytes.get(..size)).ok_or(ElfFault::Damaged("a table of it is longer than the file"))
    }

    pub(super) fn table<P: ParseAt>(
        &self,
        address: u64,
        size: u64,
    ) -> Result<ParsingTable<'b, LittleEndian, P>, ElfFault> {
        if size == 0 {
            return Ok(ParsingTable::new(LittleEndian, Class::ELF64, &[]));
        }
        Ok(ParsingTable::new(LittleEndian, Class::ELF64, self.slice(address, size)?))
    }

    /// Whether an address is in an executable segment.
    pub(super) fn is_code(&self, address: u64) -> bool {
        let inside = |segment: &ProgramHeader| {
            segment.p_flags & abi::PF_X != 0
                && address.checked_sub(segment.p_vaddr).is_some_and(|inside| inside < segment.p_filesz)
        };
        self.of_type(abi::PT_LOAD).any(inside)
    }

    fn word(&self, address: u64) -> Result<u32, ElfFault> {
        let bytes = self.slice(address, 4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }
}

/// What the dynamic table leads to.
pub(super) struct Tables<'b> {
    pub(super) strings: &'b [u8],
    pub(super) needed: Vec<u64>,
    pub(super) soname: Option<u64>,
    pub(super) symbols: ParsingTable<'b, LittleEndian, Symbol>,
    /// Addresses and sizes.
    pub(super) relocations: Vec<(u64, u64)>,
    /// Address, and number of libraries.
    pub(super) versions: Option<(u64, u64)>,
}

impl<'b> Tables<'b> {
    pub(super) fn read(image: &Image<'b>) -> Result<Self, ElfFault> {
        let mut segments = image.of_type(abi::PT_DYNAMIC);
        let (Some(segment), None) = (segments.next(), segments.next()) else {
            return Err(ElfFault::Damaged("it has no dynamic table, or two"));
        };
        // where the loader reads, and where other programs do
        let mapped = image.slice(segment.p_vaddr, segment.p_filesz)?;
        let offset = usize::try_from(segment.p_offset).ok();
        if offset.and_then(|offset| image.bytes.get(offset..)).map(<[u8]>::as_ptr) != Some(mapped.as_ptr()) {
            return Err(ElfFault::Damaged("its dynamic table is in two places"));
        }
        let table: ParsingTable<'_, LittleEndian, Dyn> = ParsingTable::new(LittleEndian, Class::ELF64, mapped);
        if table.len() > MAX_DYNAMIC {
            return Err(ElfFault::Damaged("its dynamic table is too long"));
        }
        let entries: Vec<Dyn> = table.iter().take_while(|entry| entry.d_tag != abi::DT_NULL).collect();
        if entries.len() == table.len() {
            return Err(ElfFault::Damaged("its dynamic table has no end"));
        }
        entries.iter().try_for_each(check_entry)?;

        // the loader takes the last of two, others the first
        let one = |tag: i64| {
            let mut found = entries.iter().filter(|entry| entry.d_tag == tag).map(Dyn::d_val);
            match (found.next(), found.next()) {
                (value, None) => Ok(value),
                _ => Err(ElfFault::Damaged("its dynamic table says one thing twice")),
            }
        };
        let missing = || ElfFault::Damaged("its dynamic table is not complete");
        let pair = |address: i64, size: i64| Ok((one(address)?.unwrap_or(0), one(size)?.unwrap_or(0)));
        let strings =
            image.slice(one(abi::DT_STRTAB)?.ok_or_else(missing)?, one(abi::DT_STRSZ)?.ok_or_else(missing)?)?;
        let count = match (one(abi::DT_GNU_HASH)?, one(abi::DT_HASH)?) {
            (Some(address), _) => gnu_count(image, address)?,
            // of its two numbers the second is how many symbols there are
            (None, Some(address)) => u64::from(image.word(address.saturating_add(4))?),
            (None, None) => return Err(missing()),
        };
        const SYMBOL: u64 = 24;
        let symbols = image.table(one(abi::DT_SYMTAB)?.ok_or_else(missing)?, count.saturating_mul(SYMBOL))?;
        let versions = match (one(abi::DT_VERNEED)?, one(abi::DT_VERNEEDNUM)?) {
            (Some(address), Some(count)) => Some((address, count)),
            (None, None) => None,
            _ => return Err(missing()),
        };
        Ok(Self {
            strings,
            needed: entries.iter().filter(|entry| entry.d_tag == abi::DT_NEEDED).map(Dyn::d_val).collect(),
            soname: one(abi::DT_SONAME)?,
            symbols,
            relocations: vec![pair(abi::DT_RELA, abi::DT_RELASZ)?, pair(abi::DT_JMPREL, abi::DT_PLTRELSZ)?],
            versions,
        })
    }
}

/// That an entry of the dynamic table asks for nothing a plugin must not have.
fn check_entry(entry: &Dyn) -> Result<(), ElfFault> {
    // glibc's elf.h; `elf` leaves these two out
    const DT_AUXILIARY: i64 = 0x7fff_fffd;
    const DT_FILTER: i64 = 0x7fff_ffff;
    const DF_TEXTREL: u64 = 4;
    // flags of DT_FLAGS_1 are numbers of the table's own sign
    let has = |flag: i64| entry.d_val() & flag.unsigned_abs() != 0;
    match entry.d_tag {
        abi::DT_RPATH => Err(ElfFault::Places("DT_RPATH")),
        abi::DT_RUNPATH => Err(ElfFault::Places("DT_RUNPATH")),
        abi::DT_AUDIT => Err(ElfFault::Places("DT_AUDIT")),
        abi::DT_DEPAUDIT => Err(ElfFault::Places("DT_DEPAUDIT")),
        abi::DT_CONFIG => Err(ElfFault::Places("DT_CONFIG")),
        DT_AUXILIARY => Err(ElfFault::Places("DT_AUXILIARY")),
        DT_FILTER => Err(ElfFault::Places("DT_FILTER")),
        abi::DT_TEXTREL => Err(ElfFault::TextRelocations),
        abi::DT_FLAGS if entry.d_val() & DF_TEXTREL != 0 => Err(ElfFault::TextRelocations),
        abi::DT_FLAGS_1 if has(abi::DF_1_PIE) => Err(ElfFault::NotShared),
        abi::DT_FLAGS_1 if has(abi::DF_1_INTERPOSE) => Err(ElfFault::Interposes("DF_1_INTERPOSE")),
        abi::DT_FLAGS_1 if has(abi::DF_1_GLOBAL) => Err(ElfFault::Interposes("DF_1_GLOBAL")),
        abi::DT_FLAGS_1 if has(abi::DF_1_GLOBAUDIT) => Err(ElfFault::Interposes("DF_1_GLOBAUDIT")),
        _ => Ok(()),
    }
}

/// How many symbols there are by a GNU hash table: one more than the last of the last chain.
fn gnu_count(image: &Image<'_>, address: u64) -> Result<u64, ElfFault> {
    let table = image.from(address)?;
    let damaged = || ElfFault::Damaged("its hash table is not complete");
    let word = |index: usize| {
        let at = index.checked_mul(4)?;
        let bytes = table.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    };
    let head = |index: usize| word(index).map(|value| value as usize).ok_or_else(damaged);
    let (buckets, first, bloom) = (head(0)?, head(1)?, head(2)?);
    // bloom words have 64 bits
    let start = bloom.checked_mul(2).and_then(|words| words.checked_add(4)).ok_or_else(damaged)?;
    let chains = start.checked_add(buckets).ok_or_else(damaged)?;
    let mut last = 0;
    for index in start..chains {
        last = last.max(head(index)?);
    }
    if last < first {
        // nothing is exported, and then nothing says how many symbols there are
        return Err(ElfFault::NoSymbol);
    }
    while head(chains.checked_add(last - first).ok_or_else(damaged)?)? & 1 == 0 {
        last += 1;
    }
    Ok(last as u64 + 1)
}

/// The text at an offset, at most `max` bytes of UTF-8.
pub(super) fn text_at(strings: &[u8], offset: u64, max: usize) -> Result<&str, ElfFault> {
    let rest = usize::try_from(offset).ok().and_then(|offset| strings.get(offset..)).unwrap_or_default();
    let rest = &rest[..rest.len().min(max)];
    let end = rest.iter().position(|byte| *byte == 0);
    let text = end.and_then(|end| std::str::from_utf8(&rest[..end]).ok());
    text.ok_or(ElfFault::Damaged("a name in it is no text"))
}
