//! Looks at how much each worker takes, and what follows.

use super::Pool;
use super::slot::Slot;
use crate::clock::Time;
use crate::sys::proc_stat::ProcStat;
use crate::workers::budget::{Finding, Look, look_after};
use crate::workers::cause::KillReason;
use crate::workers::lifecycle::State;

impl Pool {
    /// Looks at every worker, and decides when to do so again.
    pub(super) fn look(&mut self, now: Time) {
        let mut busy = false;
        for slot in &mut self.slots {
            busy |= slot.look(now);
        }
        self.next_look = now + look_after(busy);
    }
}

impl Slot {
    /// Looks at what its process has used. Says whether that was much.
    pub(super) fn look(&mut self, now: Time) -> bool {
        let Some(process) = &self.process else { return false };
        if process.kill.is_some() || matches!(self.life.state(), State::Stopping { .. }) {
            return false;
        }
        // not reaped, so the number is still its own; unreadable only where `/proc` is hidden
        let Ok(stat) = ProcStat::read(process.pid) else { return false };
        match self.budget.look(now, Look { worked: stat.worked, threads: stat.threads }) {
            Finding::Fine => {}
            Finding::Warning(figures) => {
                tracing::warn!("{}: {figures}; if it goes on it will be quarantined", self.spec.id);
            }
            Finding::Exceeded(figures) => self.kill(KillReason::Budget(figures)),
        }
        self.budget.is_busy()
    }
}
