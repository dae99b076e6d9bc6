//! The compiled cases.

use midimon_tests::binaries::Binaries;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const MARK: &[u8] = b"midimon-case-slot:";
/// Room for a case's text in its library.
const ROOM: usize = 1024;

/// A directory of compiled cases.
#[derive(Debug)]
pub struct Libraries {
    directory: PathBuf,
}

impl Libraries {
    /// Those in `MIDIMON_CASES_DIR`, or compiled now.
    pub fn get() -> &'static Self {
        static FOUND: OnceLock<Libraries> = OnceLock::new();
        FOUND.get_or_init(|| {
            if let Some(directory) = std::env::var_os("MIDIMON_CASES_DIR") {
                return Self { directory: directory.into() };
            }
            let directory = Binaries::get().programs.join("../hostile");
            let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("hostile/build");
            let status = Command::new(build).arg(&directory).status().expect("tests/hostile/build runs");
            assert!(status.success(), "the cases do not compile");
            Self { directory }
        })
    }

    /// The program that runs a case without a sandbox.
    pub fn outside(&self) -> PathBuf {
        self.directory.join("outside")
    }

    /// A library as it was built.
    pub fn plain(&self, name: &str) -> Vec<u8> {
        let path = self.directory.join(format!("{name}.so"));
        std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// A case's library, told when to make its attempt and on what.
    pub fn patched(&self, name: &str, mode: u8, input: &str) -> Vec<u8> {
        let mut code = self.plain(name);
        let mark = code.windows(MARK.len()).position(|window| window == MARK).expect("a case has its slot");
        let slot = mark + MARK.len();
        assert!(input.len() < ROOM, "{} bytes do not fit", input.len());
        code[slot] = mode;
        code[slot + 2..slot + 2 + input.len()].copy_from_slice(input.as_bytes());
        code
    }
}
