//! What a plugin did against its sandbox or the protocol, counted since the daemon started.

use crate::sys::syscalls::SystemCall;
use std::collections::BTreeSet;
use std::time::Duration;

/// From the report of a forbidden call to the end of the process: it ends itself at once.
pub const DENIED_LIMIT: Duration = Duration::from_secs(1);

/// Most reports of one process until then; each of its threads may be in one.
pub const MAX_DENIED: u32 = 64;

/// Most different calls that are named in the log when they are only reported; all are counted.
const MAX_NAMED: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub struct Violations {
    count: u64,
    last: Option<String>,
    named: BTreeSet<SystemCall>,
}

impl Violations {
    /// How many there were.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// What the last one was.
    #[must_use]
    pub fn last(&self) -> Option<&str> {
        self.last.as_deref()
    }

    /// Counts one that ended the worker.
    pub fn record(&mut self, what: String) {
        self.count = self.count.saturating_add(1);
        self.last = Some(what);
    }

    /// Counts a forbidden call that was only reported. Returns whether it is the first of its
    /// kind and is to be logged; a flood of kinds is not.
    pub fn reported(&mut self, call: SystemCall) -> bool {
        self.record(format!("forbidden system call {call}, reported only"));
        self.named.len() < MAX_NAMED && self.named.insert(call)
    }

    /// Another process: each kind is worth a line again.
    pub fn begin(&mut self) {
        self.named.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reported_call_counts_and_is_named_once_for_each_process() {
        let mut violations = Violations::default();
        let call = SystemCall(u32::try_from(libc::SYS_ptrace).unwrap());
        assert!(violations.reported(call));
        assert!(!violations.reported(call));
        violations.begin();
        assert!(violations.reported(call));
        assert_eq!(violations.count(), 3);
        assert!(violations.last().unwrap().contains("ptrace ("), "{:?}", violations.last());
    }

    #[test]
    fn a_flood_of_made_up_calls_is_counted_and_not_kept() {
        let mut violations = Violations::default();
        let logged = (0..100_000).filter(|number| violations.reported(SystemCall(*number))).count();
        assert_eq!((logged, violations.count()), (MAX_NAMED, 100_000));
    }
}
