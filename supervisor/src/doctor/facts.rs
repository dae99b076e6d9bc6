//! Looking at this machine.

use crate::action::{KeyboardChoice, usable_keyboards};
use crate::midi::seq;
use crate::sys::features::{landlock_abi, seccomp_actions};
use crate::workers::cgroup::Cgroups;
use crate::workers::program::WorkerProgram;
use crate::workers::trial::{Trial, enter_sandbox};
use midimon_shared::sandbox::{Layer, LayerReport};
use nix::errno::Errno;
use nix::unistd::Uid;
use std::fs::read_to_string;
use std::path::Path;
use std::process::{Command, Stdio};

/// What was seen, not judged.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The kernel's release, as `uname -r` says it.
    pub kernel: String,
    /// Landlock's version, or why there is none.
    pub landlock: Result<u32, Errno>,
    /// System-call filters with every action that is needed.
    pub seccomp: Result<(), Errno>,
    /// Whether the kernel knows `no_new_privs`.
    pub no_new_privs: bool,
    /// The option `hidepid` of `/proc`, where it hides anything.
    pub hidepid: Option<String>,
    /// Whether midimon runs as root.
    pub root: bool,
    /// Whether midimon may divide its cgroup.
    pub cgroup: LayerReport,
    /// This midimon's version.
    pub version: &'static str,
    /// Its programs, the two workers first.
    pub programs: Vec<Program>,
    /// The ALSA sequencer, or how to get it.
    pub sequencer: Result<(), String>,
    /// The ways to send keys, or how to get one.
    pub keyboards: Result<Vec<&'static str>, String>,
}

/// One of midimon's programs.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its file name.
    pub name: &'static str,
    /// What it did when it was tried, or why it does not work.
    pub tried: Result<Tried, String>,
}

/// What a program did when it was tried.
#[derive(Clone, Debug)]
pub struct Tried {
    /// Its version.
    pub version: String,
    /// The layers it entered; the compiler shows none.
    pub layers: Vec<LayerReport>,
}

impl Facts {
    /// Looks. `programs` is where the worker programs are. Starts each of them, without a
    /// plugin, and waits some seconds at most.
    #[must_use]
    pub fn gather(programs: &Path) -> Self {
        let worker = |program: WorkerProgram| {
            let name = program.file_name();
            let trial = enter_sandbox(&programs.join(name)).map_err(|error| error.to_string());
            Program { name, tried: trial.map(|Trial { version, layers }| Tried { version, layers }) }
        };
        Self {
            kernel: nix::sys::utsname::uname()
                .map_or_else(|error| error.to_string(), |names| names.release().to_string_lossy().into_owned()),
            landlock: landlock_abi(),
            seccomp: seccomp_actions(),
            no_new_privs: nix::sys::prctl::get_no_new_privs().is_ok(),
            hidepid: read_to_string("/proc/self/mountinfo").ok().as_deref().and_then(hidepid),
            root: Uid::effective().is_root(),
            cgroup: Cgroups::probe(),
            version: env!("CARGO_PKG_VERSION"),
            programs: WorkerProgram::ALL.map(worker).into_iter().chain([compiler(programs)]).collect(),
            sequencer: seq::check_access().map_err(|error| error.to_string()),
            keyboards: usable_keyboards(KeyboardChoice::from_env()).map_err(|error| error.to_string()),
        }
    }

    /// What the native worker entered, and the cgroup as it would be; the other workers enter the same.
    #[must_use]
    pub fn layers(&self) -> Vec<LayerReport> {
        let worker = self.programs.iter().find_map(|program| program.tried.as_ref().ok());
        let mut layers = worker.map_or_else(Vec::new, |tried| tried.layers.clone());
        if !layers.is_empty() {
            layers.retain(|report| report.layer != Layer::Cgroup);
            layers.push(self.cgroup.clone());
        }
        layers
    }
}

/// Asks the compiler for its key, which begins with its version.
fn compiler(programs: &Path) -> Program {
    const NAME: &str = "midimon-compile";
    let output = Command::new(programs.join(NAME)).arg("--print-key").env_clear().stdin(Stdio::null()).output();
    let tried = match output {
        Ok(output) if output.status.success() => {
            let key = String::from_utf8_lossy(&output.stdout);
            // the version and a hash
            let version = key.trim().rsplit_once('-').map_or_else(String::new, |(version, _)| version.to_owned());
            Ok(Tried { version, layers: Vec::new() })
        }
        Ok(output) => {
            Err(format!("it ends with {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
        }
        Err(error) => Err(format!("cannot be started: {error}")),
    };
    Program { name: NAME, tried }
}

/// The option of the mount at `/proc`, unless it hides nothing.
fn hidepid(mountinfo: &str) -> Option<String> {
    let proc = mountinfo.lines().rfind(|line| line.split(' ').nth(4) == Some("/proc"))?;
    let mut options = proc.rsplit([' ', ',']);
    let value = options.find_map(|option| option.strip_prefix("hidepid="))?;
    (!matches!(value, "0" | "off")).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidepid_is_read_from_the_mount_at_proc_alone() {
        let line =
            |place: &str, options: &str| format!("23 28 0:21 / {place} rw,nosuid shared:13 - proc proc {options}\n");
        assert_eq!(hidepid(&line("/proc", "rw,hidepid=invisible")).as_deref(), Some("invisible"));
        assert_eq!(hidepid(&line("/proc", "rw,hidepid=2,gid=5")).as_deref(), Some("2"));
        for harmless in [line("/proc", "rw"), line("/proc", "rw,hidepid=0"), line("/chroot/proc", "rw,hidepid=2")] {
            assert_eq!(hidepid(&harmless), None, "{harmless}");
        }
        assert_eq!(hidepid(&(line("/proc", "rw,hidepid=2") + &line("/proc", "rw"))), None, "the last one is on top");
    }
}
