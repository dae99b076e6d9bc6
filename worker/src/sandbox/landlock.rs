//! Landlock: every right that the running kernel knows is taken away, and given back for the data directory
//! and, to native workers, for the system's libraries.

use crate::stop::Stop;
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, PathBeneath, Ruleset, RulesetAttr, RulesetCreated,
    RulesetCreatedAttr, RulesetError, Scope,
};
use midimon_shared::WorkerExit;
use midimon_shared::landlock::{NEWEST as NEWEST_TOLD, lacks};
use midimon_shared::sandbox::{Layer, LayerReport, LayerState};
use midimon_shared::spawn::MissingLayers;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::ffi::{CStr, OsStr, c_void};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The newest version asked for; older kernels give what they have.
const NEWEST: ABI = ABI::V9;

// what it is asked for is what it is told to lack
const _: () = assert!(NEWEST as u32 == NEWEST_TOLD.abi);

/// Where the loader looks up libraries.
const LOADER_CACHE: &str = "/etc/ld.so.cache";

/// What can be read besides the data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Libraries {
    /// The directories of the system's libraries, for plugins that need some.
    Readable,
    /// Nothing.
    Closed,
}

/// Restricts this thread and all it will start.
///
/// # Errors
/// A rule cannot be made, it does not hold, or the kernel has no Landlock and that is not accepted.
pub fn enter(data_dir: Option<&str>, libraries: Libraries, missing: MissingLayers) -> Result<LayerReport, Stop> {
    let failed = |error: RulesetError| Stop::new(WorkerExit::Landlock, error);
    let mut rules = ruleset().map_err(failed)?;
    if let Some(path) = data_dir {
        rules = rules.add_rule(PathBeneath::new(directory(Path::new(path))?, data_rights())).map_err(failed)?;
    }
    if libraries == Libraries::Readable {
        for path in library_directories() {
            let rule = PathBeneath::new(directory(&path)?, AccessFs::ReadFile);
            rules = rules.add_rule(rule).map_err(failed)?;
        }
        // not every system has one
        if let Ok(cache) = open(LOADER_CACHE, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty()) {
            rules = rules.add_rule(PathBeneath::new(cache, AccessFs::ReadFile)).map_err(failed)?;
        }
    }
    // a denial in a loop would fill the system's audit log; kernels before ABI 7 write none
    let status = rules.log_same_exec(false).and_then(RulesetCreated::restrict_self).map_err(failed)?;
    match (status.landlock, missing) {
        (LandlockStatus::Available { effective_abi, .. }, _) => {
            self_test()?;
            Ok(report(effective_abi))
        }
        (_, MissingLayers::Refuse) => Err(Stop::new(WorkerExit::Landlock, "the kernel does not have it")),
        (absent, MissingLayers::Accept) => {
            let detail = match absent {
                LandlockStatus::NotEnabled => "this kernel has it switched off: add landlock to its lsm= parameter",
                _ => "this kernel does not have it (Linux 5.13 and later do)",
            };
            Ok(LayerReport { layer: Layer::Landlock, state: LayerState::Unavailable, detail: detail.to_owned() })
        }
    }
}

/// Handles everything, allows nothing.
fn ruleset() -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()
}

/// Ordinary work on files: no execution, and no files but regular ones.
fn data_rights() -> BitFlags<AccessFs> {
    AccessFs::ReadFile
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::ReadDir
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer
}

fn directory(path: &Path) -> Result<OwnedFd, Stop> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    open(path, flags, Mode::empty())
        .map_err(|error| Stop::new(WorkerExit::Landlock, format!("{}: {error}", path.display())))
}

/// Where this program's own libraries came from, and the same below `/usr` where the two are apart.
fn library_directories() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    // SAFETY: the callback gets the pointer to `found`, which outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(remember), (&raw mut found).cast()) };
    let usr = |path: &PathBuf| path.strip_prefix("/").ok().map(|path| Path::new("/usr").join(path));
    let candidates: Vec<PathBuf> = found.iter().cloned().chain(found.iter().filter_map(usr)).collect();
    let mut directories: Vec<PathBuf> = candidates.iter().filter_map(|path| path.canonicalize().ok()).collect();
    directories.sort();
    directories.dedup();
    directories
}

/// Called for each loaded object; 0 goes on to the next one.
unsafe extern "C" fn remember(info: *mut libc::dl_phdr_info, _size: usize, found: *mut c_void) -> i32 {
    // SAFETY: the loader passes a valid description whose name is a C string, and what `library_directories` passed.
    let (name, found) = unsafe { (CStr::from_ptr((*info).dlpi_name), &mut *found.cast::<Vec<PathBuf>>()) };
    // neither the program itself nor the kernel's own object has a path
    let parent = Path::new(OsStr::from_bytes(name.to_bytes())).parent();
    if let Some(parent) = parent.filter(|parent| parent.is_absolute() && *parent != Path::new("/"))
        && !found.iter().any(|path| path == parent)
    {
        found.push(parent.to_owned());
    }
    0
}

fn self_test() -> Result<(), Stop> {
    match open("/", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()) {
        Err(Errno::EACCES) => Ok(()),
        Err(error) => Err(Stop::new(WorkerExit::Landlock, format!("opening / fails with {error}, not for Landlock"))),
        Ok(_) => Err(Stop::new(WorkerExit::Landlock, "/ can still be opened")),
    }
}

fn report(abi: ABI) -> LayerReport {
    match lacks(abi as u32) {
        None => LayerReport::active(Layer::Landlock, format!("ABI {abi}")),
        Some(lacks) => {
            let detail = format!("ABI {abi}: {lacks}");
            LayerReport { layer: Layer::Landlock, state: LayerState::Degraded, detail }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_kernel_is_degraded_and_told_what_it_lacks_and_the_newest_is_not() {
        assert_eq!(report(NEWEST), LayerReport::active(Layer::Landlock, "ABI 9"));
        for abi in [ABI::V1, ABI::V2, ABI::V3, ABI::V4, ABI::V5, ABI::V6, ABI::V7, ABI::V8] {
            let LayerReport { state, detail, .. } = report(abi);
            assert_eq!(state, LayerState::Degraded);
            assert!(detail.starts_with(&format!("ABI {abi}: it cannot refuse ")), "{detail}");
        }
    }

    #[test]
    fn libraries_are_found_where_this_programs_own_are() {
        let directories = library_directories();
        assert!(directories.iter().any(|path| path.join("libc.so.6").exists()), "{directories:?}");
        assert!(directories.iter().all(|path| path.starts_with("/usr") || path.starts_with("/lib")), "{directories:?}");
    }
}
