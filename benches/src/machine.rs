//! What the kernel says about processes, and on which processor they run.

use crate::Result;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::fs;

/// Keeps processes and this thread on one processor; undone when dropped.
pub struct Pinned {
    before: Vec<(Pid, CpuSet)>,
}

impl Pinned {
    /// Pins this thread and the main threads of these processes to the last
    /// processor this thread may use.
    pub fn new(pids: impl IntoIterator<Item = i32>) -> Result<Self> {
        let this_thread = Pid::from_raw(0);
        let allowed = sched_getaffinity(this_thread)?;
        let last = (0..CpuSet::count()).rev().find(|&cpu| allowed.is_set(cpu).unwrap_or(false)).unwrap_or(0);
        let mut one = CpuSet::new();
        one.set(last)?;
        let mut pinned = Self { before: Vec::new() };
        for pid in pids.into_iter().map(Pid::from_raw).chain([this_thread]) {
            let before = sched_getaffinity(pid)?;
            sched_setaffinity(pid, &one)?;
            pinned.before.push((pid, before));
        }
        Ok(pinned)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        for (pid, before) in &self.before {
            let _ = sched_setaffinity(*pid, before); // it may have ended
        }
    }
}

/// Memory of one process, in KiB.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// What nobody else uses.
    pub unique: u64,
    /// That, and its share of what others use too.
    pub proportional: u64,
}

/// A process's memory; only root may ask for another one that cannot be dumped.
pub fn memory(pid: i32) -> Result<Memory> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        .map_err(|error| format!("/proc/{pid}/smaps_rollup: {error}; reading a worker's memory needs root"))?;
    let mut memory = Memory::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some(name), Some(Ok(kib))) = (words.next(), words.next().map(str::parse::<u64>)) else { continue };
        match name {
            "Private_Clean:" | "Private_Dirty:" | "Private_Hugetlb:" => memory.unique += kib,
            "Pss:" => memory.proportional += kib,
            _ => {}
        }
    }
    Ok(memory)
}

/// What all threads of a process have done so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Activity {
    /// Time on a processor, in nanoseconds.
    pub busy_ns: u64,
    /// Times they went to sleep, which is how often they were woken.
    pub wakeups: u64,
}

/// See [`Activity`].
pub fn activity(pid: i32) -> Result<Activity> {
    let mut sum = Activity::default();
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let task = task?.path();
        let run = fs::read_to_string(task.join("schedstat"))?;
        sum.busy_ns += run.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or(0);
        let status = fs::read_to_string(task.join("status"))?;
        let slept = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        sum.wakeups += slept.and_then(|count| count.trim().parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}
