//! The requests of one plugin: whose turn it is, and what is out. Pure but for the
//! session's descriptor.

use super::allowance::{Allowance, RequestCounts, ServiceCounts};
use super::effects::Effects;
use super::held::Held;
use super::lights::Lights;
use super::permit::OutputOf;
use super::session::Session;
use super::timers::Timers;
use super::{MidiMessage, Permit, Subject, describe, permit, refusal};
use crate::clock::Time;
use crate::plugins::Grants;
use midimon_shared::host::{HostRefusal, HostRequest, RefusalKind};
use std::sync::Arc;
use std::time::Duration;

/// How long a plugin that asks too much waits for being told so: what holds a flood
/// of requests back, since only one is out at a time.
pub const HOLD: Duration = Duration::from_millis(20);

/// See the module. Kept from process to process.
#[derive(Debug, Default)]
pub struct Desk {
    allowance: Allowance,
    counts: RequestCounts,
    services: ServiceCounts,
    /// When it wants to be called.
    pub timers: Timers,
    /// The lights it sets.
    pub lights: Lights,
    process: Option<AtDesk>,
}

/// A process that may ask.
#[derive(Debug, Default)]
struct AtDesk {
    /// Of the last request.
    last: u32,
    /// The request that has no answer yet.
    out: Option<(u32, Subject)>,
    /// A refusal that is not told before its time.
    held_back: Option<(Time, HostRefusal)>,
    session: Option<Arc<Session>>,
    /// What it has switched on.
    held: Held,
}

/// What to do about a request.
#[derive(Debug)]
pub enum Taken {
    /// Nothing: its process is no longer there.
    Nothing,
    /// It breaks the protocol.
    Violation(&'static str),
    /// Carry it out.
    Permitted(Permit, Arc<Session>),
    /// Answer at once.
    Refused(HostRefusal),
    /// It will be answered by [`Desk::due`].
    HeldBack,
}

impl Desk {
    /// Another process may ask from now on.
    pub fn open(&mut self) {
        self.process = Some(AtDesk::default());
    }

    /// The process has ended: whatever waits for it ends, what it left on is switched off.
    /// Gives the request that was out, if it was permitted: it may have been carried out.
    pub fn close(&mut self, effects: Option<&dyn Effects>) -> Option<Subject> {
        let mut process = self.process.take()?;
        if let Some(session) = process.session {
            session.end();
        }
        self.timers.clear();
        for (port, message) in process.held.release().into_iter().chain(self.lights.release()) {
            // a queue that is full has room for note-offs; else it is the output's own loss
            let _ = effects.map(|effects| effects.send_midi(&port, &message));
        }
        let (_, subject) = process.out?;
        let refused = process.held_back.map(|(_, refusal)| refusal.kind);
        self.counts.count(refused);
        refused.is_none().then_some(subject)
    }

    /// Takes a request, checked against each of these grants.
    pub fn take(&mut self, now: Time, grants: &[&Grants], request: HostRequest, output_of: OutputOf<'_>) -> Taken {
        let Some(process) = &mut self.process else { return Taken::Nothing };
        if process.out.is_some() {
            return Taken::Violation("a request while another one is out");
        }
        if request.id <= process.last {
            return Taken::Violation("a request whose number does not rise");
        }
        process.last = request.id;
        process.out = Some((request.id, describe(&request.call)));
        let checked = self.allowance.ask(now).and_then(|()| {
            let permits = grants.iter().map(|grants| permit(grants, request.call.clone(), output_of));
            let none = || Err(refusal(RefusalKind::NotGranted, "nothing is granted"));
            let permit = permits.reduce(Result::and).unwrap_or_else(none)?;
            self.allowance.spend(now, &permit).map(|()| permit)
        });
        match checked {
            Ok(permit) => match process.session() {
                Ok(session) => Taken::Permitted(permit, session),
                Err(refusal) => Taken::Refused(refusal),
            },
            Err(refusal) if refusal.kind == RefusalKind::TooMany => {
                process.held_back = Some((now + HOLD, refusal));
                Taken::HeldBack
            }
            Err(refusal) => Taken::Refused(refusal),
        }
    }

    /// A message was sent to an output.
    pub fn sent(&mut self, port: &str, message: &MidiMessage) {
        if let Some(process) = &mut self.process {
            process.held.sent(port, message);
        }
    }

    /// The request that is out ends like this: counts it, and says which it was, or
    /// nothing when nobody waits for it any more.
    pub fn answered(&mut self, refused: Option<RefusalKind>) -> Option<(u32, Subject)> {
        let out = self.process.as_mut()?.out.take()?;
        self.counts.count(refused);
        match (out.1.what, refused) {
            ("emit", None) => self.services.events += 1,
            ("emit", Some(_)) => self.services.events_refused += 1,
            ("set-mode", None) => self.services.modes += 1,
            _ => {}
        }
        Some(out)
    }

    /// A refusal whose time has come.
    pub fn due(&mut self, now: Time) -> Option<HostRefusal> {
        let process = self.process.as_mut()?;
        let (at, _) = process.held_back.as_ref()?;
        if *at > now {
            return None;
        }
        process.held_back.take().map(|(_, refusal)| refusal)
    }

    /// When [`Self::due`] or the lights have something.
    #[must_use]
    pub fn next_timer(&self) -> Option<Time> {
        let held_back = self.process.as_ref()?.held_back.as_ref().map(|(at, _)| *at);
        held_back.into_iter().chain(self.lights.next()).min()
    }

    /// What became of all requests.
    #[must_use]
    pub const fn counts(&self) -> RequestCounts {
        self.counts
    }

    /// What came of its events, lights and timers.
    #[must_use]
    pub fn services(&self) -> ServiceCounts {
        let (lights, lights_replaced) = self.lights.counts();
        let (timer_calls, timer_calls_left_out) = self.timers.calls();
        let timers = self.timers.count();
        ServiceCounts { lights, lights_replaced, timers, timer_calls, timer_calls_left_out, ..self.services }
    }
}

impl AtDesk {
    fn session(&mut self) -> Result<Arc<Session>, HostRefusal> {
        if let Some(session) = &self.session {
            return Ok(session.clone());
        }
        let failed =
            |error: nix::errno::Errno| refusal(RefusalKind::Failed, format!("no descriptor: {}", error.desc()));
        let session = Arc::new(Session::new().map_err(failed)?);
        self.session = Some(session.clone());
        Ok(session)
    }
}

#[cfg(test)]
#[path = "desk_tests.rs"]
mod tests;
