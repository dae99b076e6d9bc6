//! What a shared library asks of the loader, looked at before it is installed.
//!
//! Everything is read the way the loader reads it: from the segments and the
//! dynamic table, never from section headers, which it ignores. Where a file
//! could show the loader another table than this look, it is refused.
//!
//! The worker looks again, at less, before it loads (`worker/src/native/elf.rs`);
//! what counts in the end is its sandbox.

mod tables;

use crate::sys::glibc;
use elf::abi;
use elf::endian::LittleEndian;
use elf::gnu_symver::VerNeedIterator;
use elf::relocation::Rela;
use midimon_shared::abi::PLUGIN_SYMBOL;
use tables::{Image, Tables, text_at};

/// Libraries a plugin may need: the C and C++ libraries of every glibc system,
/// out of the directories that a worker's sandbox leaves readable.
pub const LIBRARIES: [&str; 9] = [
    "libc.so.6",
    "libm.so.6",
    "libgcc_s.so.1",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libstdc++.so.6",
    "ld-linux-x86-64.so.2",
    "ld-linux-aarch64.so.1",
];

/// Most libraries one can need, and most versions of symbols it can want.
const MAX_NEEDED: usize = 64;
const MAX_VERSIONS: usize = 4096;
/// Longest name of a library or a version that is read, in bytes.
const MAX_TEXT: usize = 256;

/// What a shared library needs of the system.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct NativeFacts {
    /// The kind of machine, as target triples begin.
    pub machine: &'static str,
    /// The libraries it needs, in its order; all of [`LIBRARIES`].
    pub needed: Vec<String>,
    /// The newest version of glibc of which it wants a symbol.
    pub glibc: Option<(u32, u32)>,
}

/// Why a shared library is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum ElfFault {
    #[error("is not a shared library (no ELF header); `kind = \"wasm\"` for a WASM module")]
    NotElf,
    #[error("is built for another kind of machine than {0}")]
    OtherMachine(String),
    #[error("is ELF, but no shared library; link it with -shared")]
    NotShared,
    #[error("is damaged, or made to be read in two ways: {0}; link it anew")]
    Damaged(&'static str),
    #[error("has a segment that is both writable and executable; link it without -N (--omagic)")]
    WritableCode,
    #[error("wants an executable stack; link it with -z noexecstack and give assembler sources a .note.GNU-stack")]
    ExecutableStack,
    #[error("has text relocations; compile all of it with -fPIC")]
    TextRelocations,
    #[error(
        "has {0}, a place or a library that the loader would follow; link it without -rpath, --audit, --filter and \
         --auxiliary, or use `patchelf --remove-rpath`"
    )]
    Places(&'static str),
    #[error("wants to be seen before other libraries ({0}); link it without -z interpose and -z global")]
    Interposes(&'static str),
    #[error("needs the library `{0}`, which is none of those there always are; link it statically ({all})", all = LIBRARIES.join(", "))]
    Library(String),
    #[error("calls itself `{0}` (SONAME), which is the system's library; link it with another -soname")]
    Soname(String),
    #[error(
        "has code that runs to find functions (IFUNC, IRELATIVE); build it without `ifunc` and multi-versioned functions"
    )]
    Ifunc,
    #[error("does not export `midimon_plugin_v1`; it is no midimon plugin, or the function is hidden")]
    NoSymbol,
    #[error("uses symbols private to glibc (`{0}`), which every other version changes")]
    Private(String),
    #[error(
        "needs glibc {wanted_major}.{wanted_minor}, this system has {host_major}.{host_minor}; build it on an older system"
    )]
    Glibc { wanted_major: u32, wanted_minor: u32, host_major: u32, host_minor: u32 },
}

/// Machines by the first part of a target triple: `e_machine` and the number of IRELATIVE.
const MACHINES: [(&str, u16, u32); 3] = [
    ("x86_64", abi::EM_X86_64, abi::R_X86_64_IRELATIVE),
    ("aarch64", abi::EM_AARCH64, abi::R_AARCH64_IRELATIVE),
    ("riscv64gc", abi::EM_RISCV, abi::R_RISCV_IRELATIVE),
];

/// Looks at a shared library for `target`, a triple.
///
/// # Errors
/// The first thing that is wrong.
pub fn examine(bytes: &[u8], target: &str) -> Result<NativeFacts, ElfFault> {
    let image = Image::parse(bytes)?;
    let other = || ElfFault::OtherMachine(target.chars().take(80).collect());
    let known = MACHINES.iter().find(|(name, ..)| target.split('-').next() == Some(name));
    let &(machine, number, irelative) = known.ok_or_else(other)?;
    if image.machine != number {
        return Err(other());
    }
    image.check_segments()?;
    let tables = Tables::read(&image)?;
    let needed = needed(&tables)?;
    relocations(&image, &tables, irelative)?;
    let glibc = versions(&image, &tables)?;
    if !exports_plugin(&image, &tables)? {
        return Err(ElfFault::NoSymbol);
    }
    Ok(NativeFacts { machine, needed, glibc })
}

impl NativeFacts {
    /// Whether this system's glibc is new enough.
    ///
    /// # Errors
    /// [`ElfFault::Glibc`].
    pub fn runs_here(&self) -> Result<(), ElfFault> {
        self.runs_with(glibc::glibc_version())
    }

    fn runs_with(&self, host: Option<(u32, u32)>) -> Result<(), ElfFault> {
        match (self.glibc, host) {
            (Some(wanted), Some(host)) if wanted > host => Err(ElfFault::Glibc {
                wanted_major: wanted.0,
                wanted_minor: wanted.1,
                host_major: host.0,
                host_minor: host.1,
            }),
            _ => Ok(()),
        }
    }
}

fn needed(tables: &Tables<'_>) -> Result<Vec<String>, ElfFault> {
    let mut needed = Vec::new();
    if tables.needed.len() > MAX_NEEDED {
        return Err(ElfFault::Damaged("it needs more than 64 libraries"));
    }
    for offset in &tables.needed {
        let name = text_at(tables.strings, *offset, MAX_TEXT)?;
        if !LIBRARIES.contains(&name) {
            return Err(ElfFault::Library(name.escape_debug().to_string()));
        }
        needed.push(name.to_owned());
    }
    if let Some(offset) = tables.soname {
        let name = text_at(tables.strings, offset, MAX_TEXT)?;
        if LIBRARIES.contains(&name) {
            return Err(ElfFault::Soname(name.to_owned()));
        }
    }
    Ok(needed)
}

/// No relocation runs code, and none refers to a symbol that does.
fn relocations(image: &Image<'_>, tables: &Tables<'_>, irelative: u32) -> Result<(), ElfFault> {
    for &(address, size) in &tables.relocations {
        for Rela { r_type, r_sym, .. } in image.table::<Rela>(address, size)?.iter() {
            if r_type == irelative {
                return Err(ElfFault::Ifunc);
            }
            if r_sym as usize >= tables.symbols.len() {
                return Err(ElfFault::Damaged("a relocation has a symbol that is not there"));
            }
        }
    }
    Ok(())
}

/// The newest `GLIBC_x.y` that a symbol is wanted of.
fn versions(image: &Image<'_>, tables: &Tables<'_>) -> Result<Option<(u32, u32)>, ElfFault> {
    let Some((address, count)) = tables.versions else { return Ok(None) };
    let data = image.from(address)?;
    let mut newest = None;
    let mut left = MAX_VERSIONS;
    for (library, wanted) in VerNeedIterator::new(LittleEndian, elf::file::Class::ELF64, count, 0, data) {
        text_at(tables.strings, u64::from(library.vn_file), MAX_TEXT)?;
        for version in wanted {
            left = left.checked_sub(1).ok_or(ElfFault::Damaged("it wants too many versions of symbols"))?;
            let name = text_at(tables.strings, u64::from(version.vna_name), MAX_TEXT)?;
            let Some(number) = name.strip_prefix("GLIBC_") else { continue };
            match glibc::parse(number) {
                Some(number) => newest = newest.max(Some(number)),
                // how newer linkers say that relative relocations are packed (glibc 2.36)
                None if number == "ABI_DT_RELR" => newest = newest.max(Some((2, 36))),
                None => return Err(ElfFault::Private(name.escape_debug().to_string())),
            }
        }
    }
    Ok(newest)
}

/// Whether the plugin's function is there; a function found by running code is refused.
fn exports_plugin(image: &Image<'_>, tables: &Tables<'_>) -> Result<bool, ElfFault> {
    let mut found = false;
    for symbol in tables.symbols.iter() {
        if symbol.is_undefined() {
            continue;
        }
        if symbol.st_symtype() == abi::STT_GNU_IFUNC {
            return Err(ElfFault::Ifunc);
        }
        let visible = matches!(symbol.st_bind(), abi::STB_GLOBAL | abi::STB_WEAK)
            && matches!(symbol.st_vis(), abi::STV_DEFAULT | abi::STV_PROTECTED);
        let name = tables.strings.get(symbol.st_name as usize..).unwrap_or_default();
        // PLUGIN_SYMBOL ends in NUL, as the loader wants it
        if visible && symbol.st_symtype() == abi::STT_FUNC && name.starts_with(PLUGIN_SYMBOL) {
            found = image.is_code(symbol.st_value);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
