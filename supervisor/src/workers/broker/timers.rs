//! When a plugin wants to be called. Pure: the time is an argument.
//!
//! Each timer has a place, and each place a binding of its own in the worker, so that a
//! call that has not been answered is known by its place.

use super::permit::{at_most, invalid};
use super::refusal;
use crate::clock::Time;
use crate::workers::bindings::BindSpec;
use midimon_shared::host::{
    HostRefusal, MAX_ACTION, MAX_TIMER_MS, MAX_TIMER_PARAMS, MAX_TIMERS, MIN_TIMER_MS, RefusalKind,
};
use std::time::Duration;

/// How often it is looked whether a call that is to come once and was put off can be made.
const PUT_OFF: Duration = Duration::from_millis(MIN_TIMER_MS as u64);
/// How long it is put off at most.
const PATIENCE: Duration = Duration::from_secs(1);

/// A timer as it was asked for, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimerOrder {
    id: u32,
    interval: Duration,
    every: bool,
    spec: BindSpec,
}

/// Checks what was asked for.
///
/// # Errors
/// A time or a size out of its range, or parameters that are no JSON object.
pub fn order(id: u32, ms: u32, every: bool, action: &str, params: &str) -> Result<TimerOrder, HostRefusal> {
    if !(MIN_TIMER_MS..=MAX_TIMER_MS).contains(&ms) {
        return Err(invalid(format!("a timer of {ms} ms; it can be {MIN_TIMER_MS} to {MAX_TIMER_MS}")));
    }
    at_most("the action's name", action.len(), MAX_ACTION)?;
    at_most("the action's parameters", params.len(), MAX_TIMER_PARAMS)?;
    let params = if params.is_empty() { "{}" } else { params };
    let is_object = serde_json::from_str::<serde_json::Value>(params).is_ok_and(|value| value.is_object());
    if !is_object {
        return Err(invalid("the action's parameters are no JSON object"));
    }
    let spec = BindSpec { action: action.into(), params: params.into(), timeout: None, paired: false };
    Ok(TimerOrder { id, interval: Duration::from_millis(ms.into()), every, spec })
}

/// A timer's place, 0 to [`MAX_TIMERS`] - 1.
pub type Place = u8;

/// What calls are under way or wait, as the timers must know it.
pub trait Calls {
    /// Whether any has no answer yet.
    fn any(&self) -> bool;
    /// Whether one of this place has no answer yet.
    fn of(&self, place: Place) -> bool;
}

/// See the module.
#[derive(Debug, Default)]
pub struct Timers {
    places: [Option<Timer>; MAX_TIMERS],
    calls: u64,
    left_out: u64,
}

#[derive(Debug)]
struct Timer {
    order: TimerOrder,
    due: Time,
    /// When it was due first.
    since: Time,
}

impl Timers {
    /// Sets a timer, in the place of one with the same id.
    ///
    /// # Errors
    /// There are [`MAX_TIMERS`] others.
    pub fn set(&mut self, now: Time, order: TimerOrder) -> Result<(), HostRefusal> {
        let same = |place: &Option<Timer>| place.as_ref().is_some_and(|timer| timer.order.id == order.id);
        let place = self.places.iter().position(same).or_else(|| self.places.iter().position(Option::is_none));
        let Some(place) = place else {
            return Err(refusal(RefusalKind::TooMany, format!("{MAX_TIMERS} timers are set, which is the most")));
        };
        let due = now + order.interval;
        self.places[place] = Some(Timer { order, due, since: due });
        Ok(())
    }

    /// Stops the timer of this id, if there is one.
    pub fn cancel(&mut self, id: u32) {
        for place in &mut self.places {
            place.take_if(|timer| timer.order.id == id);
        }
    }

    /// The calls whose time has come. One that is to come again and whose last call has no
    /// answer is left out. One that is to come once is put off while calls are under way, since
    /// behind them it could become too old, and would never come.
    pub fn due(&mut self, now: Time, calls: &impl Calls) -> Vec<(Place, BindSpec)> {
        let mut due: Vec<_> = self.once(now, calls).into_iter().collect();
        for (number, place) in (0..).zip(&mut self.places) {
            let Some(timer) = place.as_mut().filter(|timer| timer.due <= now && timer.order.every) else { continue };
            let is_out = calls.of(number);
            if !is_out {
                due.push((number, timer.order.spec.clone()));
            }
            self.left_out += timer.skip_to_after(now) + u64::from(is_out);
        }
        self.calls += due.len() as u64;
        due
    }

    /// Of those that are to come once the one that has been due for longest, if its call can be
    /// made; the others, and it where it cannot, are put off. Before all that come again: those
    /// have another time.
    fn once(&mut self, now: Time, calls: &impl Calls) -> Option<(Place, BindSpec)> {
        let due = |timer: &Timer| timer.due <= now && !timer.order.every;
        let places = (0..).zip(&self.places).filter_map(|(number, place)| Some((number, place.as_ref()?)));
        let first = places.filter(|(_, timer)| due(timer)).min_by_key(|(_, timer)| timer.since);
        let (number, since) = first.map(|(number, timer)| (number, timer.since))?;
        let can_be_made = !calls.of(number) && (!calls.any() || now.since(since) >= PATIENCE);
        let made = can_be_made.then(|| self.places[usize::from(number)].take()).flatten();
        for timer in self.places.iter_mut().flatten().filter(|timer| due(timer)) {
            timer.due = now + PUT_OFF;
        }
        made.map(|timer| (number, timer.order.spec))
    }

    /// When [`Self::due`] has something.
    #[must_use]
    pub fn next(&self) -> Option<Time> {
        self.places.iter().flatten().map(|timer| timer.due).min()
    }

    /// The process has ended, and with it all timers; what was counted stays.
    pub fn clear(&mut self) {
        self.places = Default::default();
    }

    /// How many are set.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.places.iter().flatten().count() as u64
    }

    /// How many calls were made, and how many left out.
    #[must_use]
    pub const fn calls(&self) -> (u64, u64) {
        (self.calls, self.left_out)
    }
}

impl Timer {
    /// Makes it due at the next multiple of its interval after `now`; how many were passed over.
    fn skip_to_after(&mut self, now: Time) -> u64 {
        let interval = self.order.interval;
        let late = now.since(self.due);
        let passed = late.as_nanos() / interval.as_nanos(); // no zero: checked when it was ordered
        // within 2^64 nanoseconds, as `late` is
        let step = Duration::from_nanos(u64::try_from((passed + 1) * interval.as_nanos()).unwrap_or(u64::MAX));
        self.due = self.due + step;
        u64::try_from(passed).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
#[path = "timers_tests.rs"]
mod tests;
