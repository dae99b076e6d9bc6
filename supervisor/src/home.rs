//! Where midimon keeps its files, and how it touches them without being tricked:
//! directories are ours or an error, files are replaced whole or not at all,
//! and one daemon at a time holds a home.

mod atomic;
mod directory;
mod lock;

pub use atomic::{is_left_over, write_atomic};
pub use directory::private_dir;
pub use lock::{Holder, Lock, try_lock_file, wait_lock_file};

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf, absolute};

/// Longest path of a Unix socket in bytes (`sun_path` is 108 with its NUL).
pub const MAX_SOCKET_PATH: usize = 107;

/// Why a home cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum HomeError {
    #[error("no home directory is known for this user: set HOME, or name a directory with --home DIR or MIDIMON_HOME")]
    Unknown,
    #[error(
        "the control socket's path is {length} bytes, and {MAX_SOCKET_PATH} is the longest possible: \
         choose a shorter directory with --home DIR ({path})"
    )]
    SocketPathTooLong { path: PathBuf, length: usize },
    #[error("cannot {what} '{path}': {source}")]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error("'{path}' is a symbolic link or no directory: remove it, midimon makes its own directory there")]
    NotADirectory { path: PathBuf },
    #[error("'{path}' belongs to user {owner}, and midimon runs as user {us}: choose another home with --home DIR")]
    ForeignOwner { path: PathBuf, owner: u32, us: u32 },
    #[error("everybody may write in '{path}': run `chmod o-w` on it, or choose another home with --home DIR")]
    WritableByAll { path: PathBuf },
    #[error("a midimon daemon already runs in this home{}: stop it with `midimon stop`, or choose another home with --home DIR", .pid.map_or(String::new(), |pid| format!(" (pid {pid})")))]
    AlreadyRunning { pid: Option<i32> },
}

impl HomeError {
    /// Names the operation and the path an I/O error belongs to.
    fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }
}

/// Where this system keeps things of each kind, for all programs.
struct Bases {
    config: Option<PathBuf>,
    data: Option<PathBuf>,
    state: Option<PathBuf>,
    runtime: Option<PathBuf>,
    cache: Option<PathBuf>,
}

impl Bases {
    fn of_this_user() -> Self {
        Self {
            config: dirs::config_dir(),
            data: dirs::data_dir(),
            state: dirs::state_dir(),
            runtime: dirs::runtime_dir(),
            cache: dirs::cache_dir(),
        }
    }
}

/// The directories of one midimon. All paths are absolute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    explicit: Option<PathBuf>,
    config: PathBuf,
    data: PathBuf,
    state: PathBuf,
    runtime: PathBuf,
    compiled: PathBuf,
}

impl Home {
    /// `explicit` (from `--home`), else `MIDIMON_HOME`, else the places this
    /// system's conventions name (the XDG directories on Linux). Touches no file.
    ///
    /// # Errors
    /// When no home directory is known, or the socket's path would be too long.
    pub fn resolve(explicit: Option<&Path>) -> Result<Self, HomeError> {
        let from_environment = std::env::var_os("MIDIMON_HOME").filter(|value| !value.is_empty());
        match explicit.or(from_environment.as_deref().map(Path::new)) {
            Some(directory) => Self::at(directory),
            None => Self::conventional(Bases::of_this_user()),
        }
    }

    /// Everything flat in one directory.
    ///
    /// # Errors
    /// When the current directory is gone and `directory` is relative, or the
    /// socket's path would be too long.
    pub fn at(directory: &Path) -> Result<Self, HomeError> {
        let directory = absolute(directory).map_err(HomeError::io("find", directory))?;
        Self {
            explicit: Some(directory.clone()),
            compiled: directory.join("compiled"),
            config: directory.clone(),
            data: directory.clone(),
            state: directory.join("state"),
            runtime: directory,
        }
        .checked()
    }

    fn conventional(bases: Bases) -> Result<Self, HomeError> {
        let ours = |base: PathBuf| base.join("midimon");
        let data = bases.data.map(ours).ok_or(HomeError::Unknown)?;
        let state = bases.state.map_or_else(|| data.join("state"), ours);
        Self {
            explicit: None,
            config: bases.config.map(ours).ok_or(HomeError::Unknown)?,
            runtime: bases.runtime.map_or_else(|| state.join("run"), ours),
            compiled: bases.cache.map_or_else(|| data.clone(), ours).join("compiled"),
            data,
            state,
        }
        .checked()
    }

    fn checked(self) -> Result<Self, HomeError> {
        let path = self.socket();
        let length = path.as_os_str().as_bytes().len();
        if length > MAX_SOCKET_PATH { Err(HomeError::SocketPathTooLong { path, length }) } else { Ok(self) }
    }

    /// The directory that `--home` or `MIDIMON_HOME` named.
    #[must_use]
    pub fn explicit(&self) -> Option<&Path> {
        self.explicit.as_deref()
    }

    /// The configuration, unless `--config` names another.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.config.join("config.toml")
    }

    /// Publishers' keys the user trusts.
    #[must_use]
    pub fn trusted_keys(&self) -> PathBuf {
        self.config.join("trusted_keys.toml")
    }

    /// Installed plugins.
    #[must_use]
    pub fn plugins_dir(&self) -> PathBuf {
        self.data.join("plugins")
    }

    /// Parent of each plugin's own data directory, which bears the plugin's id.
    #[must_use]
    pub fn plugin_data_dir(&self) -> PathBuf {
        self.data.join("plugin-data")
    }

    /// What the user granted, one file a plugin.
    #[must_use]
    pub fn grants_dir(&self) -> PathBuf {
        self.data.join("grants")
    }

    /// What plugins did, one file a plugin.
    #[must_use]
    pub fn audit_dir(&self) -> PathBuf {
        self.log_base().join("audit")
    }

    /// Plugins compiled ahead of time; can be deleted at any time.
    #[must_use]
    pub fn compiled_dir(&self) -> PathBuf {
        self.compiled.clone()
    }

    /// The daemon's and the plugins' logs.
    #[must_use]
    pub fn logs_dir(&self) -> PathBuf {
        self.log_base().join("logs")
    }

    /// What the daemon prints when it runs in the background. No plugin id begins
    /// with an underscore, so no plugin can write lines here.
    #[must_use]
    pub fn daemon_log(&self) -> PathBuf {
        self.logs_dir().join("_daemon.log")
    }

    /// What the daemon remembers between runs.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.state.clone()
    }

    /// Values the user gave installed plugins, one file a plugin.
    #[must_use]
    pub fn settings_dir(&self) -> PathBuf {
        self.state.join("settings")
    }

    /// The control socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.runtime.join("control.sock")
    }

    /// The file whose lock says that a daemon runs. Not in the runtime directory:
    /// two sessions can have different ones, or none, and still share this home.
    #[must_use]
    pub fn lock(&self) -> PathBuf {
        self.log_base().join("lock")
    }

    /// Flat homes have `audit`, `logs` and `lock` beside `state`; else they lie in it.
    fn log_base(&self) -> &Path {
        self.explicit.as_deref().unwrap_or(&self.state)
    }

    /// Creates what is missing. The bases (which a user may have made symbolic
    /// links to elsewhere) must be ours and not writable by all; the directories
    /// in them must be real ones, ours, and become 0700.
    ///
    /// # Errors
    /// Names the directory and what is wrong with it.
    pub fn prepare(&self) -> Result<(), HomeError> {
        match &self.explicit {
            Some(base) => directory::base(base)?,
            None => {
                directory::base(&self.config)?;
                directory::base(&self.data)?;
                if let Some(cache) = self.compiled.parent() {
                    directory::base(cache)?;
                }
                for path in [&self.state, &self.runtime] {
                    if let Some(parent) = path.parent() {
                        directory::parents(parent)?;
                    }
                    private_dir(path)?;
                }
            }
        }
        for path in [
            self.plugins_dir(),
            self.plugin_data_dir(),
            self.grants_dir(),
            self.audit_dir(),
            self.compiled_dir(),
            self.logs_dir(),
            self.state_dir(),
            self.settings_dir(),
        ] {
            private_dir(&path)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_named_home_is_flat() {
        let home = Home::resolve(Some(Path::new("/h"))).unwrap();
        for (path, name) in [
            (home.config_file(), "/h/config.toml"),
            (home.trusted_keys(), "/h/trusted_keys.toml"),
            (home.plugins_dir(), "/h/plugins"),
            (home.plugin_data_dir(), "/h/plugin-data"),
            (home.grants_dir(), "/h/grants"),
            (home.audit_dir(), "/h/audit"),
            (home.compiled_dir(), "/h/compiled"),
            (home.logs_dir(), "/h/logs"),
            (home.state_dir(), "/h/state"),
            (home.socket(), "/h/control.sock"),
            (home.lock(), "/h/lock"),
        ] {
            assert_eq!(path, Path::new(name));
        }
    }

    #[test]
    fn without_a_named_home_files_lie_where_the_system_keeps_them() {
        let temp = tempfile::tempdir().unwrap();
        let at = |name: &str| temp.path().join(name);
        let bases = || Bases {
            config: Some(at("config")),
            data: Some(at("data")),
            state: Some(at("state")),
            runtime: Some(at("runtime")),
            cache: Some(at("cache")),
        };
        fs::create_dir(at("runtime")).unwrap();
        let home = Home::conventional(bases()).unwrap();
        home.prepare().unwrap();
        assert_eq!(home.config_file(), at("config/midimon/config.toml"));
        assert_eq!(home.plugin_data_dir(), at("data/midimon/plugin-data"));
        assert_eq!(home.lock(), at("state/midimon/lock"));
        assert_eq!(home.socket(), at("runtime/midimon/control.sock"));
        assert_eq!(mode(&at("runtime/midimon")), 0o700);
        let sparse = Home::conventional(Bases { state: None, runtime: None, cache: None, ..bases() }).unwrap();
        sparse.prepare().unwrap();
        assert_eq!(sparse.state_dir(), at("data/midimon/state"));
        assert_eq!(sparse.socket(), at("data/midimon/state/run/control.sock"));
        assert_eq!(sparse.compiled_dir(), at("data/midimon/compiled"));
        assert!(matches!(Home::conventional(Bases { data: None, ..bases() }), Err(HomeError::Unknown)));
    }

    #[test]
    fn a_relative_home_becomes_absolute_so_that_a_detached_daemon_finds_it() {
        assert!(Home::at(Path::new("somewhere")).unwrap().socket().is_absolute());
    }

    #[test]
    fn a_socket_path_of_107_bytes_is_accepted_and_one_of_108_names_the_option() {
        let fill = MAX_SOCKET_PATH - "//control.sock".len();
        assert!(Home::at(Path::new(&format!("/{}", "a".repeat(fill)))).is_ok());
        let error = Home::at(Path::new(&format!("/{}", "a".repeat(fill + 1)))).unwrap_err();
        assert!(error.to_string().contains("--home DIR"), "{error}");
    }

    #[test]
    fn preparing_makes_private_directories_and_tightens_loose_ones() {
        let temp = tempfile::tempdir().unwrap();
        let home = Home::at(&temp.path().join("deep/er")).unwrap();
        home.prepare().unwrap();
        fs::set_permissions(home.plugin_data_dir(), fs::Permissions::from_mode(0o755)).unwrap();
        home.prepare().unwrap();
        for path in [home.plugin_data_dir(), home.state_dir(), home.logs_dir(), temp.path().join("deep/er")] {
            assert_eq!(mode(&path), 0o700, "{}", path.display());
        }
    }

    #[test]
    fn a_planted_symbolic_link_or_file_is_refused_and_its_target_left_alone() {
        let temp = tempfile::tempdir().unwrap();
        let elsewhere = temp.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o755)).unwrap();
        let home = Home::at(&temp.path().join("home")).unwrap();
        fs::create_dir(temp.path().join("home")).unwrap();
        symlink(&elsewhere, home.plugin_data_dir()).unwrap();
        assert!(matches!(home.prepare(), Err(HomeError::NotADirectory { .. })));
        assert_eq!(mode(&elsewhere), 0o755);
        fs::remove_file(home.plugin_data_dir()).unwrap();
        fs::write(home.plugin_data_dir(), "").unwrap();
        assert!(matches!(home.prepare(), Err(HomeError::NotADirectory { .. })));
        fs::remove_file(home.plugin_data_dir()).unwrap();
        home.prepare().unwrap();
    }

    #[test]
    fn a_base_that_is_a_symbolic_link_of_ours_is_the_users_choice() {
        let temp = tempfile::tempdir().unwrap();
        fs::create_dir(temp.path().join("real")).unwrap();
        symlink(temp.path().join("real"), temp.path().join("home")).unwrap();
        let home = Home::at(&temp.path().join("home")).unwrap();
        home.prepare().unwrap();
        assert!(temp.path().join("real/plugins").is_dir());
    }

    #[test]
    fn a_base_everybody_may_write_in_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        fs::set_permissions(temp.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        let error = Home::at(temp.path()).unwrap().prepare().unwrap_err();
        assert!(matches!(error, HomeError::WritableByAll { .. }), "{error}");
    }
}
