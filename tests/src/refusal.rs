//! A kernel that lacks something: system calls that fail for midimon and all that it starts.

use nix::errno::Errno;
use nix::libc::c_long;
use std::path::Path;
use std::process::Command;

/// A system call that the kernel answers with an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal(String);

impl Refusal {
    /// The call of this number fails with this error.
    #[must_use]
    pub fn of(call: c_long, error: Errno) -> Self {
        Self(format!("{call} {}", error as i32))
    }

    /// As `tests/launcher/refuse.c` takes it.
    pub(crate) fn rule(&self) -> &str {
        &self.0
    }
}

/// Compiles the launcher, which starts a program under refusals.
pub(crate) fn compile(program: &Path) {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/launcher/refuse.c");
    let mut cc = Command::new("cc");
    let output = cc.args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-O1", "-o"]).arg(program).arg(source).output();
    let output = output.expect("a C compiler (apt-get install gcc)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
