//! Where the programs and plugins under test lie.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// What a build leaves behind, checked.
#[derive(Debug)]
pub struct Binaries {
    /// `midimon` and its workers (`MIDIMON_BIN_DIR`).
    pub programs: PathBuf,
    /// The example plugins, a folder each (`MIDIMON_PLUGINS_DIR`).
    pub plugins: PathBuf,
    /// The misbehaving ones (`MIDIMON_FIXTURES_DIR`).
    pub fixtures: PathBuf,
}

impl Binaries {
    /// Finds them, once a process.
    ///
    /// # Panics
    /// Something is missing or of another version: with what to run.
    pub fn get() -> &'static Self {
        static FOUND: OnceLock<Binaries> = OnceLock::new();
        FOUND.get_or_init(Self::find)
    }

    fn find() -> Self {
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"), PathBuf::from);
        let directory = |variable: &str, default: &str| {
            std::env::var_os(variable).map_or_else(|| target.join(default), PathBuf::from)
        };
        let found = Self {
            programs: directory("MIDIMON_BIN_DIR", "release"),
            plugins: directory("MIDIMON_PLUGINS_DIR", "plugins"),
            fixtures: directory("MIDIMON_FIXTURES_DIR", "fixtures"),
        };
        for program in
            ["midimon", "midimon-worker", "midimon-worker-wasm", "midimon-worker-wasm-net", "midimon-compile"]
        {
            let path = found.programs.join(program);
            assert!(path.is_file(), "{} is missing: run make build", path.display());
        }
        found.check_version();
        for directory in [&found.plugins, &found.fixtures] {
            assert!(directory.is_dir(), "{} is missing: run make plugins", directory.display());
        }
        found
    }

    fn check_version(&self) {
        let path = self.midimon();
        let output = Command::new(&path).arg("--version").output();
        let output = output.unwrap_or_else(|error| panic!("{}: {error}: run make build", path.display()));
        let expected = concat!("midimon ", env!("CARGO_PKG_VERSION"));
        let shown = String::from_utf8_lossy(&output.stdout);
        assert_eq!(shown.trim(), expected, "{} is of another version: run make build", path.display());
    }

    /// The folder of an example or fixture plugin.
    ///
    /// # Panics
    /// There is none of that id.
    #[must_use]
    pub fn plugin(&self, id: &str) -> PathBuf {
        [&self.plugins, &self.fixtures]
            .into_iter()
            .map(|directory| directory.join(id))
            .find(|path| path.is_dir())
            .unwrap_or_else(|| {
                panic!(
                    "no plugin '{id}' in {} or {}: run make plugins",
                    self.plugins.display(),
                    self.fixtures.display()
                )
            })
    }

    /// The main program.
    #[must_use]
    pub fn midimon(&self) -> PathBuf {
        self.programs.join("midimon")
    }
}
