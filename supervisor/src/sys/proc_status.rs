//! `/proc/PID/status`: what the kernel says about a worker, readable for the
//! same user even when the worker is not dumpable.

use std::io::{self, Read};

/// The lines the supervisor looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcStatus {
    /// `NoNewPrivs` is 1.
    pub no_new_privs: bool,
    /// Number of threads.
    pub threads: u32,
    /// Effective capabilities.
    pub cap_effective: u64,
    /// Capability bounding set.
    pub cap_bounding: u64,
    /// Seccomp mode: 0 none, 2 filter.
    pub seccomp: u32,
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
        let mut text = String::with_capacity(2048);
        std::fs::File::open(format!("/proc/{pid}/status"))?.take(64 * 1024).read_to_string(&mut text)?;
        Ok(Self::parse(&text))
    }

    /// Reads the text of `/proc/PID/status`; absent or malformed lines count as 0.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut status = Self::default();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            let number = || value.split_whitespace().next().and_then(|digits| digits.parse().ok()).unwrap_or(0u64);
            let bits = || u64::from_str_radix(value, 16).unwrap_or(u64::MAX);
            match key {
                "NoNewPrivs" => status.no_new_privs = value == "1",
                "Threads" => status.threads = u32::try_from(number()).unwrap_or(u32::MAX),
                "CapEff" => status.cap_effective = bits(),
                "CapBnd" => status.cap_bounding = bits(),
                "Seccomp" => status.seccomp = u32::try_from(number()).unwrap_or(0),
                "RssAnon" => status.rss_anon_kib = number(),
                "VmData" => status.vm_data_kib = number(),
                _ => {}
            }
        }
        status
    }
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
    fn malformed_lines_count_as_nothing_and_unreadable_capabilities_as_all() {
        let status = ProcStatus::parse("Threads:\tx\nCapEff:\tzz\nNoNewPrivs:\t1\nfoo\nRssAnon:\t  12 kB\n");
        assert_eq!(status.threads, 0);
        assert_eq!(status.cap_effective, u64::MAX);
        assert!(status.no_new_privs);
        assert_eq!(status.rss_anon_kib, 12);
    }
}
