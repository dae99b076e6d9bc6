//! Calls that a plugin's timers make.

use super::Lane;
use crate::clock::Time;
use crate::workers::bindings::{BindError, BindSpec};
use crate::workers::broker::timers::{Calls, Place};
use midimon_shared::context::TriggerStamp;

impl Lane {
    /// Makes a timer's call. Its place has no other without an answer, see [`Calls`].
    pub(in crate::workers) fn timer(
        &self,
        place: Place,
        spec: &BindSpec,
        stamp: TriggerStamp,
        now: Time,
    ) -> Result<(), BindError> {
        let mut inner = self.lock();
        let (binding, is_new) = inner.bindings.timer(place, spec)?;
        if is_new {
            inner.tell_bindings(&[binding]);
        }
        if let Some(route) = inner.bindings.route(binding) {
            let running = inner.running;
            inner.ring.accept(now, route, stamp, running, None);
        }
        let flushed = inner.flush(now);
        drop(inner);
        self.waker.written(flushed);
        Ok(())
    }
}

impl Calls for Lane {
    fn any(&self) -> bool {
        self.has_calls()
    }

    fn of(&self, place: Place) -> bool {
        let inner = self.lock();
        inner.bindings.timers_number(place).is_some_and(|binding| inner.ring.has_call_of(binding))
    }
}
