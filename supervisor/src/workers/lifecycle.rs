//! A worker's life as a pure state machine: time and events in, decisions out.
//!
//! ```text
//! Starting → Sandboxed → Ready → Stopping → Stopped
//!     ▲           │         │
//!     └─ Backoff ◀┴─────────┴─▶ Quarantined, Failed
//! ```
//!
//! Busy is Ready with calls under way; the [`lane`](super::lane) knows that.

use super::cause::{EndCause, KillReason};
use crate::clock::Time;
use midimon_shared::Limits;
use midimon_shared::limits::RestartPolicy;
use std::collections::VecDeque;
use std::time::Duration;

/// From spawn to `Hello`.
pub const START_LIMIT: Duration = Duration::from_secs(5);
/// From `Hello` to `Ready`: loading the code, its constructors, its init.
pub const LOAD_LIMIT: Duration = Duration::from_secs(10);
/// From `LoadFailed` to the exit.
pub const FAILED_LIMIT: Duration = Duration::from_millis(500);
/// From `Shutdown` to the exit.
pub const STOP_LIMIT: Duration = Duration::from_secs(2);

/// From one kill to the next, should the process not end at once.
const KILL_AGAIN: Duration = Duration::from_secs(1);

/// Where a worker stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum State {
    /// No process, none wanted.
    Stopped,
    /// Spawned, entering its sandbox.
    Starting { deadline: Time },
    /// Its sandbox was checked; loading its code.
    Sandboxed { deadline: Time },
    /// Taking calls.
    Ready { since: Time },
    /// Asked to stop, or killed for it.
    Stopping { deadline: Time, restart: bool },
    /// Waiting to be started again.
    Backoff { until: Time, reason: String },
    /// Crashed too often; stays down until somebody restarts it.
    Quarantined { reason: String },
    /// Cannot work as it is; stays down until somebody restarts or changes it.
    Failed { reason: String },
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Somebody wants it to run; clears quarantine and crash history.
    Start,
    /// Somebody wants it stopped.
    Stop,
    /// It entered its sandbox, and a look from outside agrees.
    SandboxEntered,
    /// Its code is loaded.
    Loaded,
    /// It says its code cannot be loaded.
    LoadFailed(String),
    /// Its process has ended and was reaped, or never began.
    Ended(EndCause),
    /// A deadline may have passed.
    Timer,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing.
    Nothing,
    /// Start a process.
    Spawn,
    /// Send it `Shutdown`.
    Shutdown,
    /// Kill its process.
    Kill(KillReason),
    /// It stays down: give up what waits for it.
    Down,
}

/// One worker's life.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    state: State,
    limits: Limits,
    /// Where its code lies, for reasons.
    code: String,
    /// Crashes within the window, oldest first.
    crashes: VecDeque<Time>,
    /// Crashes since it was last healthy.
    streak: u32,
    load_failure: Option<String>,
    restarts: u64,
    last_end: Option<String>,
}

impl Lifecycle {
    /// A worker that has not been started, or is quarantined from an earlier run.
    #[must_use]
    pub fn new(limits: Limits, quarantined: Option<String>) -> Self {
        let state = quarantined.map_or(State::Stopped, |reason| State::Quarantined { reason });
        Self {
            state,
            limits,
            code: String::new(),
            crashes: VecDeque::new(),
            streak: 0,
            load_failure: None,
            restarts: 0,
            last_end: None,
        }
    }

    /// Where it stands.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Times it was started again after an end nobody asked for.
    #[must_use]
    pub const fn restarts(&self) -> u64 {
        self.restarts
    }

    /// What ended it last, asked for or not.
    #[must_use]
    pub fn last_end(&self) -> Option<&str> {
        self.last_end.as_deref()
    }

    /// Takes new limits; they count from the next event on.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Says where its code lies, which is named when that cannot be loaded in time.
    pub fn set_code(&mut self, code: String) {
        self.code = code;
    }

    /// When [`Event::Timer`] is wanted next.
    #[must_use]
    pub const fn next_timer(&self) -> Option<Time> {
        match self.state {
            State::Starting { deadline } | State::Sandboxed { deadline } | State::Stopping { deadline, .. } => {
                Some(deadline)
            }
            State::Backoff { until, .. } => Some(until),
            _ => None,
        }
    }

    /// Whether there is, or is about to be, a process.
    #[must_use]
    pub const fn has_process(&self) -> bool {
        matches!(
            self.state,
            State::Starting { .. } | State::Sandboxed { .. } | State::Ready { .. } | State::Stopping { .. }
        )
    }

    /// Goes one step. `jitter` is a random number from 0 to 1 that spreads restarts.
    pub fn step(&mut self, now: Time, event: Event, jitter: f64) -> Decision {
        match event {
            Event::Start => self.start_asked(now),
            Event::Stop => self.stop_asked(now, false),
            Event::SandboxEntered => {
                self.state = State::Sandboxed { deadline: now + LOAD_LIMIT };
                Decision::Nothing
            }
            Event::Loaded => {
                self.load_failure = None;
                self.state = State::Ready { since: now };
                Decision::Nothing
            }
            Event::LoadFailed(message) => {
                self.load_failure = Some(message);
                if let State::Sandboxed { deadline } = &mut self.state {
                    *deadline = (*deadline).min(now + FAILED_LIMIT);
                }
                Decision::Nothing
            }
            Event::Ended(cause) => self.ended(now, cause, jitter),
            Event::Timer => self.timer(now),
        }
    }

    fn spawn(&mut self, now: Time) -> Decision {
        self.load_failure = None;
        self.state = State::Starting { deadline: now + START_LIMIT };
        Decision::Spawn
    }

    fn start_asked(&mut self, now: Time) -> Decision {
        self.crashes.clear();
        self.streak = 0;
        if self.has_process() { self.stop_asked(now, true) } else { self.spawn(now) }
    }

    fn stop_asked(&mut self, now: Time, restart: bool) -> Decision {
        match self.state {
            State::Stopping { deadline, .. } => {
                self.state = State::Stopping { deadline, restart };
                Decision::Nothing
            }
            _ if self.has_process() => {
                self.state = State::Stopping { deadline: now + STOP_LIMIT, restart };
                Decision::Shutdown
            }
            State::Quarantined { .. } => Decision::Down,
            _ => {
                self.state = State::Stopped;
                Decision::Down
            }
        }
    }

    fn timer(&mut self, now: Time) -> Decision {
        if self.next_timer().is_none_or(|due| now < due) {
            return Decision::Nothing;
        }
        match self.state {
            State::Starting { .. } => {
                self.state = State::Starting { deadline: now + KILL_AGAIN };
                Decision::Kill(KillReason::StartDeadline { step: "entering the sandbox", limit: START_LIMIT })
            }
            State::Sandboxed { .. } => {
                self.state = State::Sandboxed { deadline: now + KILL_AGAIN };
                if self.load_failure.is_some() {
                    let step = "ending after its plugin could not be loaded";
                    return Decision::Kill(KillReason::StartDeadline { step, limit: FAILED_LIMIT });
                }
                let step = "loading and initialising the plugin";
                let reason = KillReason::StartDeadline { step, limit: LOAD_LIMIT };
                // slow loading is the plugin's nature, not an accident: it would be as slow again
                self.load_failure = Some(format!("{}: {reason}", self.code));
                Decision::Kill(reason)
            }
            State::Stopping { restart, .. } => {
                self.state = State::Stopping { deadline: now + KILL_AGAIN, restart };
                Decision::Kill(KillReason::StopGrace)
            }
            State::Backoff { .. } => {
                self.restarts += 1;
                self.spawn(now)
            }
            _ => Decision::Nothing,
        }
    }

    fn ended(&mut self, now: Time, cause: EndCause, jitter: f64) -> Decision {
        if let State::Stopping { restart, .. } = self.state {
            self.last_end = Some(match cause {
                EndCause::Exited(0) => "stopped as asked".to_owned(),
                cause => format!("while stopping: {cause}"),
            });
            self.state = State::Stopped;
            return if restart { self.spawn(now) } else { Decision::Down };
        }
        if let Some(reason) = self.load_failure.take() {
            self.last_end = Some(reason.clone());
            self.state = State::Failed { reason };
            return Decision::Down;
        }
        self.last_end = Some(cause.to_string());
        match cause {
            // it would go over it again at once
            EndCause::Killed(KillReason::Quota(_)) => {
                self.state = State::Failed { reason: cause.to_string() };
                return Decision::Down;
            }
            EndCause::Killed(KillReason::Budget(_)) => {
                self.state = State::Quarantined { reason: cause.to_string() };
                return Decision::Down;
            }
            _ => {}
        }
        if self.limits.restart == RestartPolicy::Never {
            self.state = State::Failed { reason: cause.to_string() };
            return Decision::Down;
        }
        self.crashed(now, &cause, jitter)
    }

    fn crashed(&mut self, now: Time, cause: &EndCause, jitter: f64) -> Decision {
        let healthy_after = Duration::from_secs(self.limits.healthy_after_s.into());
        if matches!(self.state, State::Ready { since } if now.since(since) >= healthy_after) {
            self.streak = 0;
        }
        let window = Duration::from_secs(self.limits.crash_window_s.into());
        self.crashes.push_back(now);
        while self.crashes.front().is_some_and(|&crash| now.since(crash) > window) {
            self.crashes.pop_front();
        }
        // what keeps a worker from starting is not the plugin's doing, until its code is there
        let blamed = match cause {
            EndCause::NotStarted(_) => matches!(self.state, State::Sandboxed { .. }),
            EndCause::Killed(KillReason::Own(_)) => false,
            _ => true,
        };
        if blamed && self.crashes.len() > self.limits.crash_limit as usize {
            let reason =
                format!("{} crashes in {} s, the last: {cause}", self.crashes.len(), self.limits.crash_window_s);
            self.state = State::Quarantined { reason };
            return Decision::Down;
        }
        let streak = self.streak;
        self.streak += 1;
        if streak == 0 {
            self.restarts += 1;
            return self.spawn(now);
        }
        let until = now + self.backoff(streak, jitter);
        self.state = State::Backoff { until, reason: cause.to_string() };
        Decision::Nothing
    }

    /// Doubles with each crash in a row, spread by a quarter either way, within the limits.
    fn backoff(&self, streak: u32, jitter: f64) -> Duration {
        let (min, max) = (u64::from(self.limits.backoff_min_ms), u64::from(self.limits.backoff_max_ms));
        let doubled = min.saturating_mul(1 << (streak - 1).min(32)).min(max);
        let spread = (doubled as f64 * (0.75 + 0.5 * jitter.clamp(0.0, 1.0))) as u64;
        Duration::from_millis(spread.clamp(min.min(max), max))
    }
}

#[cfg(test)]
#[path = "lifecycle_tests.rs"]
mod tests;
