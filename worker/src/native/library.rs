//! Opening a shared library and checking its table before anything in it is called.

use super::elf::{self, ElfError};
use libloading::os::unix::{Library as Dl, RTLD_LOCAL, RTLD_NOW};
use midimon_shared::abi::{ABI_VERSION, Call, Entry, Host, Metadata, PLUGIN_SYMBOL, Plugin, Str};
use std::ffi::c_void;
use std::fs::File;
use std::mem::{ManuallyDrop, size_of};
use std::os::fd::AsRawFd;

/// Why a file is not a plugin that can run here.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum LoadError {
    #[error(transparent)]
    Elf(#[from] ElfError),
    #[error("it cannot be loaded as a shared library: {0}")]
    NotALibrary(String),
    #[error(
        "it does not export `midimon_plugin_v1`: not a midimon plugin, or the function is hidden (put MIDIMON_EXPORT in front of it)"
    )]
    NoSymbol,
    #[error("`midimon_plugin_v1` returned NULL instead of a table")]
    NoTable,
    #[error("it speaks version {theirs} of the plugin interface, this midimon speaks version {ABI_VERSION}")]
    Version { theirs: u32 },
    #[error(
        "its table has {theirs} bytes, version {ABI_VERSION} needs {needed}: struct_size must be sizeof(midimon_plugin)"
    )]
    Size { theirs: u32, needed: usize },
    #[error("its table has no `{0}` function")]
    NoFunction(&'static str),
    #[error("its init failed with code {code}{}{message}", if .message.is_empty() { "" } else { ": " })]
    Init { code: i32, message: String },
}

/// A library that stays loaded until the process ends, and its four functions.
pub struct Library {
    pub describe: unsafe extern "C" fn(*mut Metadata),
    pub init: unsafe extern "C" fn(*const Host, Str, *mut *mut c_void) -> i32,
    pub handle: unsafe extern "C" fn(*mut c_void, *const Call) -> i32,
    pub shutdown: unsafe extern "C" fn(*mut c_void),
}

impl Library {
    /// Loads the library behind `code`; its constructors run now.
    pub fn open(code: File) -> Result<Self, LoadError> {
        elf::check(&code)?;
        let path = format!("/proc/self/fd/{}", code.as_raw_fd());
        // SAFETY: running what the file holds is what this sandboxed process is for.
        let library = unsafe { Dl::open(Some(&path), RTLD_NOW | RTLD_LOCAL) }
            .map_err(|error| LoadError::NotALibrary(reason(&error, &path)))?;
        // never unloaded: the plugin may have threads, and the process ends without destructors
        let library = ManuallyDrop::new(library);
        // SAFETY: the header fixes the symbol's type.
        let entry = unsafe { library.get::<Entry>(PLUGIN_SYMBOL) }.map_err(|_| LoadError::NoSymbol)?;
        // SAFETY: as the header says: no arguments, a pointer to a constant or null.
        let table = unsafe { entry() };
        Self::check(table)
    }

    fn check(table: *const Plugin) -> Result<Self, LoadError> {
        if table.is_null() {
            return Err(LoadError::NoTable);
        }
        // SAFETY: every version of the interface starts with these two numbers.
        let (abi_version, struct_size) = unsafe { ((*table).abi_version, (*table).struct_size) };
        if abi_version != ABI_VERSION {
            return Err(LoadError::Version { theirs: abi_version });
        }
        let needed = size_of::<Plugin>();
        if (struct_size as usize) < needed {
            return Err(LoadError::Size { theirs: struct_size, needed });
        }
        // SAFETY: the plugin says the table is of this version and at least this large.
        let table = unsafe { *table };
        Ok(Self {
            describe: table.describe.ok_or(LoadError::NoFunction("describe"))?,
            init: table.init.ok_or(LoadError::NoFunction("init"))?,
            handle: table.handle.ok_or(LoadError::NoFunction("handle"))?,
            shutdown: table.shutdown.ok_or(LoadError::NoFunction("shutdown"))?,
        })
    }
}

/// The loader's words without the descriptor's path, which means nothing to anyone.
fn reason(error: &libloading::Error, path: &str) -> String {
    let text = match std::error::Error::source(error) {
        Some(source) => source.to_string(),
        None => error.to_string(),
    };
    text.trim_start_matches(path).trim_start_matches(": ").to_owned()
}
