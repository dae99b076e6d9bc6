//! Looks at how much each worker takes, and what follows.

use super::Pool;
use super::slot::Slot;
use crate::clock::Time;
use crate::sys::proc_stat::ProcStat;
use crate::workers::budget::{Finding, Held, Look, look_after};
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
        let Some(process) = &mut self.process else { return false };
        if process.kill.is_some() || matches!(self.life.state(), State::Stopping { .. }) {
            return false;
        }
        // not reaped, so the number is still its own; unreadable only where `/proc` is hidden
        let Ok(stat) = ProcStat::read(process.pid) else { return false };
        let seen = process.look_at_memory();
        let held = seen.as_ref().map_or_else(Held::default, Held::from);
        let look = Look {
            worked: stat.worked,
            held: Held { threads: stat.threads, ..held },
            main_ended: seen.is_some_and(|seen| seen.main_ended),
        };
        match self.budget.look(now, look) {
            Finding::Fine => {}
            Finding::Warning(figures) => {
                tracing::warn!("{}: {figures}; if it goes on it will be quarantined", self.spec.id);
            }
            Finding::Exceeded(reason) => self.kill(reason),
        }
        // constructors run early, and nothing else looks at them
        self.budget.is_busy() || matches!(self.life.state(), State::Sandboxed { .. })
    }
}
