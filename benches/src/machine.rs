//! What the kernel says about processes, and on which processor they run.

use crate::Result;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::fs;

/// Keeps processes and this thread where they are put; undone when dropped.
pub struct Pinned {
    before: Vec<(Pid, CpuSet)>,
}

impl Pinned {
    /// Pins this thread and the main threads of these processes to the last
    /// processor this thread may use.
    pub fn new(pids: impl IntoIterator<Item = i32>) -> Result<Self> {
        let (_, last) = outermost()?;
        let mut pinned = Self { before: Vec::new() };
        pids.into_iter().map(Pid::from_raw).chain([THIS_THREAD]).try_for_each(|pid| pinned.put(pid, last))?;
        Ok(pinned)
    }

    /// Pins this thread to the first and the main threads of these processes to the last
    /// processor this thread may use; `None` where that is the same one.
    pub fn apart(pids: impl IntoIterator<Item = i32>) -> Result<Option<Self>> {
        let (first, last) = outermost()?;
        if first == last {
            return Ok(None);
        }
        let mut pinned = Self { before: Vec::new() };
        pids.into_iter().map(Pid::from_raw).try_for_each(|pid| pinned.put(pid, last))?;
        pinned.put(THIS_THREAD, first)?;
        Ok(Some(pinned))
    }

    fn put(&mut self, pid: Pid, processor: usize) -> Result<()> {
        let mut one = CpuSet::new();
        one.set(processor)?;
        let before = sched_getaffinity(pid)?;
        sched_setaffinity(pid, &one)?;
        self.before.push((pid, before));
        Ok(())
    }
}

const THIS_THREAD: Pid = Pid::from_raw(0);

/// The first and the last processor this thread may use.
fn outermost() -> Result<(usize, usize)> {
    let allowed = sched_getaffinity(THIS_THREAD)?;
    let mut all = (0..CpuSet::count()).filter(|&processor| allowed.is_set(processor).unwrap_or(false));
    let first = all.next().unwrap_or(0);
    Ok((first, all.next_back().unwrap_or(first)))
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
