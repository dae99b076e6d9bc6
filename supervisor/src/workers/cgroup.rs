//! A control group for each worker, where the system lets us have some: memory,
//! threads and processor time are then held by the kernel too, whatever the plugin
//! finds to get around the limits of its process.
//!
//! midimon must have a group of its own for that (a systemd service with
//! `Delegate=yes`). It moves itself to a group `supervisor` within, since a group
//! with processes can have no limits on the groups in it, and gives each worker a
//! group `worker-ID` beside. It touches no others.

use super::budget::MAX_THREADS;
use super::status::PluginKind;
use crate::sys::cgroup::{Group, own_path};
use midimon_shared::sandbox::{Layer, LayerReport, LayerState};
use midimon_shared::spawn::WASM_OVERHEAD;
use midimon_shared::{Limits, PluginId};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Where midimon itself is.
const OWN: &str = "supervisor";
/// What workers' groups begin with.
const PREFIX: &str = "worker-";
/// What is needed.
const CONTROLLERS: [&str; 3] = ["memory", "pids", "cpu"];
/// Memory beyond the plugin's own: the program, its stack, files it uses, the kernel's share. MiB.
const OVERHEAD: u64 = 32;
/// In which processor time is counted, in microseconds.
const PERIOD: u64 = 100_000;
/// How often a group of an earlier run is looked at before it is left to be used again.
const TRIES: u32 = 20;

/// The groups, or why there are none.
#[derive(Clone, Debug)]
pub struct Cgroups(Result<Arc<Group>, String>);

impl Cgroups {
    /// No groups, for a program that wants to stay where it is.
    #[must_use]
    pub fn off() -> Self {
        Self(Err("not asked for".to_owned()))
    }

    /// Moves this process to a group of its own within its group, makes that ready for
    /// workers, and ends what an earlier run left there. Where that is not possible,
    /// everything stays as it was.
    #[must_use]
    pub fn take() -> Self {
        let own = i32::try_from(std::process::id()).unwrap_or(i32::MAX);
        let taken = find().and_then(|group| take(&group, own).map(|()| Arc::new(group)));
        match &taken {
            Ok(_) => tracing::info!("each worker gets a control group of its own"),
            Err(why) => tracing::info!("workers have no control groups: {why}"),
        }
        Self(taken)
    }

    /// What [`Self::take`] would find; nothing is changed.
    #[must_use]
    pub fn probe() -> LayerReport {
        let own = i32::try_from(std::process::id()).unwrap_or(i32::MAX);
        match find().and_then(|group| check(&group, own)) {
            Ok(()) => LayerReport::active(Layer::Cgroup, "memory, threads and processor time of each worker"),
            Err(why) => unavailable(&why),
        }
    }

    /// Puts a process in its plugin's group. It must not have been waited for, so that
    /// its number is still its own. Takes milliseconds.
    #[must_use]
    pub fn enter(&self, plugin: &PluginId, kind: PluginKind, limits: &Limits, pid: i32) -> Membership {
        let group = self.0.clone().and_then(|parent| {
            WorkerGroup::make(parent, plugin, kind, limits, pid)
                .map_err(|error| format!("its group cannot be made: {error}"))
        });
        Membership(group)
    }
}

/// Whether a worker is in a group; the group ends with this.
#[derive(Debug)]
pub struct Membership(Result<WorkerGroup, String>);

impl Membership {
    /// For the list of layers.
    #[must_use]
    pub fn report(&self) -> LayerReport {
        match &self.0 {
            Ok(group) => LayerReport::active(Layer::Cgroup, group.shown.clone()),
            Err(why) => unavailable(why),
        }
    }

    /// Whether the kernel ended processes of the group for their memory; the figures.
    #[must_use]
    pub fn out_of_memory(&self) -> Option<String> {
        let group = self.0.as_ref().ok()?;
        let kills = group.oom_kills().saturating_sub(group.kills_before);
        let peak = group.group.read("memory.peak").ok().and_then(|text| text.trim().parse::<u64>().ok());
        let peak = peak.map_or(String::new(), |bytes| format!(", at most {} KiB were used", bytes / 1024));
        (kills > 0).then(|| format!("the kernel ended it at {} MiB (memory.max){peak}", group.memory_mib))
    }
}

#[derive(Debug)]
struct WorkerGroup {
    parent: Arc<Group>,
    name: String,
    group: Group,
    memory_mib: u64,
    kills_before: u64,
    shown: String,
}

impl WorkerGroup {
    fn make(parent: Arc<Group>, plugin: &PluginId, kind: PluginKind, limits: &Limits, pid: i32) -> io::Result<Self> {
        let name = format!("{PREFIX}{plugin}");
        let group = parent.child(&name)?;
        let memory_mib = memory_mib(kind, limits);
        // with its group on drop, from here on
        let mut made = Self { parent, name, group, memory_mib, kills_before: 0, shown: shown(memory_mib, limits) };
        for (file, text) in settings(memory_mib, limits) {
            match made.group.write(file, &text) {
                // a kernel that counts no swap has no limit for it
                Err(error) if error.kind() == ErrorKind::NotFound && file == "memory.swap.max" => {}
                result => result.map_err(|error| io::Error::new(error.kind(), format!("{file}: {error}")))?,
            }
        }
        made.kills_before = made.oom_kills(); // a group that could not be removed keeps its count
        made.group.write("cgroup.procs", &pid.to_string())?;
        Ok(made)
    }

    fn oom_kills(&self) -> u64 {
        count(&self.group.read("memory.events").unwrap_or_default(), "oom_kill")
    }
}

impl Drop for WorkerGroup {
    fn drop(&mut self) {
        // its process was reaped; should another be in there, it is not one of ours
        let _ = self.group.write("cgroup.kill", "1");
        let _ = self.parent.remove(&self.name); // busy: the next worker uses it again
    }
}

fn unavailable(why: &str) -> LayerReport {
    let detail = why.chars().take(150).collect();
    LayerReport { layer: Layer::Cgroup, state: LayerState::Unavailable, detail }
}

fn memory_mib(kind: PluginKind, limits: &Limits) -> u64 {
    let runtime = match kind {
        PluginKind::Native => 0,
        PluginKind::Wasm => WASM_OVERHEAD / (1024 * 1024),
    };
    u64::from(limits.memory_mib) + runtime + OVERHEAD
}

/// At once no more than a core, or what the plugin may take for long where that is more.
fn cpu_percent(limits: &Limits) -> Option<u64> {
    (limits.cpu_percent != 0).then(|| u64::from(limits.cpu_percent).max(100))
}

/// The group's files and what goes in them.
fn settings(memory_mib: u64, limits: &Limits) -> [(&'static str, String); 5] {
    let cpu = cpu_percent(limits).map_or("max".to_owned(), |percent| (percent * PERIOD / 100).to_string());
    [
        ("memory.max", (memory_mib * 1024 * 1024).to_string()),
        ("memory.swap.max", "0".to_owned()),
        ("memory.oom.group", "1".to_owned()),
        ("pids.max", MAX_THREADS.to_string()),
        ("cpu.max", format!("{cpu} {PERIOD}")),
    ]
}

fn shown(memory_mib: u64, limits: &Limits) -> String {
    let cpu = cpu_percent(limits).map_or("all of the processor".to_owned(), |percent| format!("{percent} % of a core"));
    format!("{memory_mib} MiB of memory, no swap, {MAX_THREADS} threads, {cpu} at most")
}

/// The number behind `key` in a file of such lines; 0 where there is none.
fn count(text: &str, key: &str) -> u64 {
    let of = |line: &str| line.strip_prefix(key)?.strip_prefix(' ')?.parse().ok();
    text.lines().find_map(of).unwrap_or(0)
}

/// The group that is to hold everybody's: our own, or the one above where we are in
/// [`OWN`] already (systemd's `DelegateSubgroup=`, or a start within an earlier one).
fn find() -> Result<Group, String> {
    let text = |path: &str| std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"));
    let (mount, own) = own_path(&text("/proc/self/cgroup")?, &text("/proc/self/mountinfo")?)?;
    Group::open(&mount, &holder(&own)).map_err(|error| format!("{}: {error}", mount.join(&own).display()))
}

fn holder(own: &Path) -> PathBuf {
    if own.ends_with(OWN) { own.parent().unwrap_or(own).to_owned() } else { own.to_owned() }
}

/// Whether a group can be made ours, and if not, why.
fn check(group: &Group, own: i32) -> Result<(), String> {
    let text = group.read("cgroup.controllers").map_err(|error| format!("cgroup.controllers: {error}"))?;
    let missing: Vec<&str> =
        CONTROLLERS.into_iter().filter(|name| !text.split_whitespace().any(|there| there == *name)).collect();
    if !missing.is_empty() {
        return Err(format!(
            "cgroup v2 has no controllers {} here: Delegate=yes, or cgroup_no_v1=all",
            missing.join(", ")
        ));
    }
    if !group.is_ours() {
        return Err("midimon's cgroup is not delegated to it: run it as a service with Delegate=yes".to_owned());
    }
    let processes = group.processes().map_err(|error| format!("cgroup.procs: {error}"))?;
    match processes.iter().filter(|&&pid| pid != own).count() {
        0 => Ok(()),
        others => {
            Err(format!("{others} other processes are in midimon's cgroup: it needs one of its own (Delegate=yes)"))
        }
    }
}

fn take(group: &Group, own: i32) -> Result<(), String> {
    check(group, own)?;
    for name in group.children().iter().filter(|name| name.starts_with(PREFIX)) {
        end_leftover(group, name);
    }
    let pid = own.to_string();
    let moved = group.child(OWN).map_err(io::Error::from).and_then(|leaf| leaf.write("cgroup.procs", &pid));
    moved.map_err(|error| format!("cannot move to the group {OWN}: {error}"))?;
    let all = CONTROLLERS.map(|name| format!("+{name}")).join(" ");
    group.write("cgroup.subtree_control", &all).map_err(|error| {
        // as it was; where that fails too we are in a group of our own, which hurts nobody
        let _ = group.write("cgroup.procs", &pid);
        let _ = group.remove(OWN);
        format!("cgroup.subtree_control: {error}")
    })
}

/// Ends what an earlier run left in a worker's group.
fn end_leftover(parent: &Group, name: &str) {
    let Ok(group) = parent.child(name) else { return };
    let _ = group.write("cgroup.kill", "1");
    for _ in 0..TRIES {
        match parent.remove(name) {
            Err(nix::errno::Errno::EBUSY) => std::thread::sleep(Duration::from_millis(5)),
            _ => return,
        }
    }
    tracing::warn!("the control group {name} of an earlier run cannot be emptied");
}

#[cfg(test)]
#[path = "cgroup_tests.rs"]
mod tests;
