//! Starts a worker on a kernel that lacks something.

use super::Worker;
use midimon_shared::spawn::SpawnArgs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

/// The launcher, compiled once a process; it lies in Cargo's own directory.
static LAUNCHER: LazyLock<String> = LazyLock::new(|| {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/launcher/refuse.c");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (program, ours) = (directory.join("refuse"), directory.join(format!("refuse-{}", std::process::id())));
    let mut cc = Command::new("cc");
    let output = cc.args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-O1", "-o"]).arg(&ours).arg(source).output();
    let output = output.expect("a C compiler (apt-get install gcc)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // another process may just run the one that is there
    std::fs::rename(ours, &program).unwrap();
    program.to_str().unwrap().to_owned()
});

/// What the kernel answers in place of doing it.
#[derive(Clone, Debug)]
pub struct Refusal(String);

/// The call fails with this errno; 0 is a lie, as if it had worked.
pub fn call(number: i64, errno: i32) -> Refusal {
    Refusal(format!("{number} {errno}"))
}

impl Refusal {
    /// Only where the argument of this index has this value.
    pub fn where_argument(self, index: usize, value: u64) -> Self {
        Self(format!("{} {index} {value}", self.0))
    }
}

/// The program and its arguments under the launcher, as arguments of the launcher.
pub fn command_line(refusals: &[Refusal], program: &str, argv: &[String]) -> (&'static str, Vec<String>) {
    let rules = refusals.iter().map(|refusal| refusal.0.clone());
    let rest = ["--".to_owned(), program.to_owned()].into_iter().chain(argv.iter().cloned());
    (&LAUNCHER, rules.chain(rest).collect())
}

/// A worker that was started with these arguments, where the kernel answers so.
pub fn worker(refusals: &[Refusal], program: &str, args: &SpawnArgs) -> Worker {
    let (launcher, argv) = command_line(refusals, program, &args.to_argv());
    Worker::spawn_with(launcher, &argv, &[])
}
