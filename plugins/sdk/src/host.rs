//! What midimon does for a plugin.

use crate::ffi;
use std::path::PathBuf;

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Level {
    Error = 1,
    Warn = 2,
    Info = 3,
    Debug = 4,
}

/// midimon, as a plugin sees it. Can be kept, copied, and used from any thread.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    table: *const ffi::Host,
}

// SAFETY: the header says of `log`, `data_dir` and the requests: from any thread; the
// table itself never changes. `answer` and `fail` are not reachable through a `Host`.
unsafe impl Send for Host {}
// SAFETY: as above.
unsafe impl Sync for Host {}

impl Host {
    /// # Safety
    /// `table` is what midimon gave to `init`: valid and unchanged until the process ends.
    pub(crate) const unsafe fn new(table: *const ffi::Host) -> Self {
        Self { table }
    }

    /// Writes to the plugin's log; at most 4096 bytes of it are kept.
    pub fn log(&self, level: Level, message: &str) {
        // SAFETY: `new` was promised a valid table; the text lives through the call.
        unsafe { ((*self.table).log)(self.table, level as i32, ffi::Str::new(message)) }
    }

    /// The plugin's own directory; `None` unless `filesystem` was granted.
    #[must_use]
    pub fn data_dir(&self) -> Option<PathBuf> {
        // SAFETY: `new` was promised a valid table; the text is valid until shutdown returns
        // and copied here.
        let path = unsafe { ((*self.table).data_dir)(self.table).get() };
        (!path.is_empty()).then(|| PathBuf::from(path))
    }

    /// The table. An earlier midimon's ends after `fail`: look at `struct_size` before reading further.
    pub(crate) const fn table(&self) -> *const ffi::Host {
        self.table
    }

    pub(crate) fn answer(&self, text: &str) {
        // SAFETY: as in `log`; called within `handle` only, on its thread.
        unsafe { ((*self.table).answer)(self.table, ffi::Str::new(text)) }
    }

    pub(crate) fn fail(&self, message: &str) {
        // SAFETY: as in `log`; called within `init` and `handle` only, on their thread.
        unsafe { ((*self.table).fail)(self.table, ffi::Str::new(message)) }
    }
}
