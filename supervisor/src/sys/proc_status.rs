//! `/proc/PID/status`: what the kernel says about a worker, readable for the
//! same user even when the worker is not dumpable.

use std::io::{self, Read};
use std::path::Path;

/// `PF_EXITING` of the kernel's `include/linux/sched.h`, in the flags of `/proc/PID/stat`.
const PF_EXITING: u64 = 0x4;

/// The lines the supervisor looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcStatus {
    /// `NoNewPrivs` is 1.
    pub no_new_privs: bool,
    /// Number of threads.
    pub threads: u32,
    /// Capabilities in any of the sets that give power now or over exec: inheritable, permitted,
    /// effective, ambient.
    pub capabilities: u64,
    /// Capability bounding set.
    pub cap_bounding: u64,
    /// Seccomp mode: 0 none, 2 filter.
    pub seccomp: u32,
    /// Seccomp filters in force (Linux 5.9).
    pub seccomp_filters: u32,
    /// Private anonymous resident memory in KiB.
    pub rss_anon_kib: u64,
    /// Private writable memory in KiB, what RLIMIT_DATA counts.
    pub vm_data_kib: u64,
}

impl ProcStatus {
    /// Reads the status of a process.
    ///
    /// # Errors
    /// The process has ended, or `/proc` hides it (mounted with `hidepid`).
    pub fn read(pid: i32) -> io::Result<Self> {
        Ok(Self::parse(&text(Path::new(&format!("/proc/{pid}/status")))?))
    }

    /// Reads the status of each thread of a process, `at_most` so many; those that
    /// are ending are left out, as they run nothing any more.
    ///
    /// # Errors
    /// As [`ProcStatus::read`].
    pub fn read_tasks(pid: i32, at_most: usize) -> io::Result<Vec<Self>> {
        let mut tasks = Vec::new();
        for entry in std::fs::read_dir(format!("/proc/{pid}/task"))?.take(at_most) {
            let task = entry?.path();
            let Ok(status) = text(&task.join("status")) else { continue }; // it has ended meanwhile
            // in this order: a task on its way out may have lost its filters before it is gone
            if text(&task.join("stat")).is_ok_and(|stat| !is_exiting(&stat)) {
                tasks.push(Self::parse(&status));
            }
        }
        Ok(tasks)
    }

    /// Reads the text of `/proc/PID/status`; absent or malformed lines count as 0,
    /// malformed capabilities as all.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut status = Self::default();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            let number = || value.split_whitespace().next().and_then(|digits| digits.parse().ok()).unwrap_or(0u64);
            let count = || u32::try_from(number()).unwrap_or(u32::MAX);
            let bits = || u64::from_str_radix(value, 16).unwrap_or(u64::MAX);
            match key {
                "NoNewPrivs" => status.no_new_privs = value == "1",
                "Threads" => status.threads = count(),
                "CapInh" | "CapPrm" | "CapEff" | "CapAmb" => status.capabilities |= bits(),
                "CapBnd" => status.cap_bounding = bits(),
                "Seccomp" => status.seccomp = count(),
                "Seccomp_filters" => status.seccomp_filters = count(),
                "RssAnon" => status.rss_anon_kib = number(),
                "VmData" => status.vm_data_kib = number(),
                _ => {}
            }
        }
        status
    }
}

fn text(path: &Path) -> io::Result<String> {
    let mut text = String::with_capacity(2048);
    std::fs::File::open(path)?.take(64 * 1024).read_to_string(&mut text)?;
    Ok(text)
}

/// Whether a `/proc/PID/stat` is that of a task on its way out: flags are the seventh
/// field after the name, which stands in brackets and can have any characters.
fn is_exiting(stat: &str) -> bool {
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let flags = fields.split_whitespace().nth(6).and_then(|flags| flags.parse::<u64>().ok());
    flags.is_some_and(|flags| flags & PF_EXITING != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_status_can_be_read() {
        let status = ProcStatus::read(std::process::id() as i32).unwrap();
        assert!(status.threads >= 1);
        assert!(status.vm_data_kib > 0);
    }

    #[test]
    fn each_of_our_threads_is_read_and_no_more_than_asked_for() {
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || receiver.recv());
        let us = std::process::id() as i32;
        assert!(ProcStatus::read_tasks(us, 1000).unwrap().len() >= 2);
        assert_eq!(ProcStatus::read_tasks(us, 1).unwrap().len(), 1);
        drop(sender);
        let _ = thread.join().unwrap();
        assert!(ProcStatus::read_tasks(i32::MAX, 1).is_err());
    }

    #[test]
    fn malformed_lines_count_as_nothing_and_unreadable_capabilities_as_all() {
        let status = ProcStatus::parse("Threads:\tx\nCapAmb:\tzz\nNoNewPrivs:\t1\nfoo\nRssAnon:\t  12 kB\n");
        assert_eq!(status.threads, 0);
        assert_eq!(status.capabilities, u64::MAX);
        assert!(status.no_new_privs);
        assert_eq!(status.rss_anon_kib, 12);
    }

    #[test]
    fn a_capability_in_any_set_but_the_bounding_one_counts_and_filters_are_counted() {
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(ProcStatus::parse(&format!("{set}:\t0000000000000020\n")).capabilities, 0x20, "{set}");
        }
        let status = ProcStatus::parse("CapBnd:\t000001ffffffffff\nSeccomp:\t2\nSeccomp_filters:\t3\n");
        assert_eq!((status.capabilities, status.cap_bounding), (0, 0x1ff_ffff_ffff));
        assert_eq!((status.seccomp, status.seccomp_filters), (2, 3));
    }

    #[test]
    fn a_task_on_its_way_out_is_told_whatever_it_is_called() {
        assert!(!is_exiting("7 (a) b 4) S 1 7 7 0 -1 4194304 0 0"));
        assert!(is_exiting("7 (a) b 0) S 1 7 7 0 -1 4194308 0 0"));
        assert!(!is_exiting("") && !is_exiting("7 (x"));
    }
}
