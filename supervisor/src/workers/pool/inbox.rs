//! What one worker sends, and how it ends: all of it judged as hostile.

use super::Shared;
use super::logs::DRAIN_READS;
use super::slot::Slot;
use crate::clock::Time;
use crate::monitor::MonitorEvent;
use crate::sys::quick;
use crate::workers::cause::{EndCause, KillReason};
use crate::workers::lane::Flushed;
use crate::workers::lifecycle::{Event as LifeEvent, State};
use crate::workers::log::safe;
use crate::workers::process::{EVENTS_CLOSED, exit_sentence};
use crate::workers::ring::WrongAnswer;
use crate::workers::spec::PluginSpec;
use crate::workers::status::{Origin, PluginKind};
use midimon_shared::WorkerExit;
use midimon_shared::limits::MAX_ANSWER;
use midimon_shared::pipe::ReceiveError;
use midimon_shared::protocol::{Command, Event, Hello, Outcome, ProtocolRange, Ready};
use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::Duration;

/// Longest reason for a failed load that is kept, in characters.
const MAX_REASON: usize = 1000;

/// Messages that come once in a process's life at most: a bit for each.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum Once {
    Hello = 1,
    Ready = 2,
    LoadFailed = 4,
}

impl Slot {
    /// One read, so that others get their turn; the kernel tells of this pipe again
    /// when more comes, or when it is asked to because some was left. Says whether
    /// anything but pongs came: those alone are no reason to stay awake.
    pub fn read_events(&mut self, shared: &mut Shared, now: Time, hung_up: bool) -> bool {
        let Some(process) = &mut self.process else { return false };
        match process.events.fill_by(|pipe, spare| quick::read(pipe.as_fd(), spare)) {
            Ok(may_have_more) => {
                let active = self.take_events(shared, now);
                if may_have_more || hung_up {
                    self.look_again(shared);
                }
                active
            }
            Err(ReceiveError::Io(error)) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) => {
                process.closed_since = Some(now);
                let _ = shared.epoll.delete(&process.events);
                if !matches!(error, ReceiveError::Closed) {
                    tracing::debug!("{}: {error}", self.spec.id);
                }
                true
            }
        }
    }

    fn take_events(&mut self, shared: &mut Shared, now: Time) -> bool {
        let (mut complete, mut active) = (false, false);
        loop {
            let Some(process) = &mut self.process else { return active };
            match process.events.buffered() {
                Ok(Some(event)) => {
                    complete = true;
                    active |= !matches!(event, Event::Pong { .. });
                    self.event(shared, now, event);
                }
                Ok(None) => {
                    // the deadline runs from a frame's first byte, however its others drip in
                    let since = if complete { now } else { process.partial_since.unwrap_or(now) };
                    process.partial_since = process.events.is_within_frame().then_some(since);
                    return active;
                }
                Err(error) => {
                    let _ = shared.epoll.delete(&process.events);
                    self.violation(format!("not an event: {error}"));
                    return true;
                }
            }
        }
    }

    fn event(&mut self, shared: &mut Shared, now: Time, event: Event) {
        let loading = matches!(self.life.state(), State::Sandboxed { .. });
        match event {
            Event::Done { outcome, .. } if words(&outcome).len() > MAX_ANSWER => {
                self.violation(format!("an answer over {MAX_ANSWER} bytes"));
            }
            Event::Done { call, outcome } => {
                if let Some(process) = &mut self.process {
                    process.out_of_memory = None; // it got over it
                }
                let shown = shared.monitor.is_watched().then(|| outcome.clone());
                match self.lane.answered(now, call, outcome) {
                    Ok((answered, _)) => {
                        // a timer with nothing to say is no news, and there can be thousands of them a second
                        let is_news =
                            |outcome: &Outcome| *outcome != Outcome::Ok || !self.lane.is_timers(answered.binding);
                        if let Some(outcome) = shown.filter(is_news) {
                            let action = self.lane.action(answered.binding);
                            self.show_answer(shared, now, action, &outcome, answered.latency);
                        }
                    }
                    Err(wrong) => self.violation(wrong.to_string()),
                }
            }
            Event::Dropped { call } => {
                let dropped: Result<Flushed, WrongAnswer> = self.lane.refused_as_too_old(now, call);
                if let Err(wrong) = dropped {
                    self.violation(wrong.to_string());
                }
            }
            Event::Pong { nonce } => self.pong(nonce),
            Event::Hello(hello) if matches!(self.life.state(), State::Starting { .. }) => {
                self.hello(shared, now, &hello);
            }
            Event::Ready(ready) if loading => self.ready(shared, now, ready),
            Event::LoadFailed { message } if loading && self.is_first(Once::LoadFailed) => {
                let message: String = message.chars().take(MAX_REASON).collect();
                let message: String = safe(&message).chars().take(MAX_REASON).collect();
                let path = self.spec.code_path.display(); // what cannot work as it is lies there
                self.step(shared, now, LifeEvent::LoadFailed(format!("{path}: {message}")));
            }
            Event::Request(request) => self.requested(shared, now, request),
            Event::Denied { number } => self.denied(shared, now, number),
            Event::OutOfMemory { .. } if self.spec.plugin_kind() == PluginKind::Native => {
                self.violation("it says that it ran out of memory, which only a WASM runtime can know");
            }
            Event::OutOfMemory { requested } => {
                let before = self.process.as_mut().and_then(|process| process.out_of_memory.replace(requested));
                if before.is_some() {
                    self.violation("it ran out of memory twice in one call");
                }
            }
            Event::Hello(_) => self.out_of_turn(Once::Hello),
            Event::Ready(_) => self.out_of_turn(Once::Ready),
            Event::LoadFailed { .. } => self.out_of_turn(Once::LoadFailed),
        }
    }

    /// While stopping, what was under way may still arrive, each once.
    fn out_of_turn(&mut self, message: Once) {
        if !matches!(self.life.state(), State::Stopping { .. }) || !self.is_first(message) {
            self.violation("a message out of its turn");
        }
    }

    /// Whether it comes for the first time, which is remembered.
    fn is_first(&mut self, message: Once) -> bool {
        let Some(process) = &mut self.process else { return false };
        let first = process.seen & message as u8 == 0;
        process.seen |= message as u8;
        first
    }

    fn hello(&mut self, shared: &mut Shared, now: Time, hello: &Hello) {
        if ProtocolRange::OURS.common(hello.protocol).is_none() {
            let reason = format!(
                "{} speaks protocol {}, this midimon {} speaks {}: they must be of one version",
                self.spec.program.file_name(),
                hello.protocol,
                env!("CARGO_PKG_VERSION"),
                ProtocolRange::OURS
            );
            self.step(shared, now, LifeEvent::LoadFailed(reason.clone()));
            return self.kill(KillReason::Own(reason));
        }
        if !self.check_sandbox(shared, now, hello) {
            return;
        }
        let Some(process) = &mut self.process else { return };
        match process.send_code(self.spec.code.as_fd()) {
            Ok(()) => {}
            // it has ended: its exit says why
            Err(Errno::EPIPE | Errno::ECONNRESET | Errno::ENOTCONN) => return,
            Err(error) => return self.kill(KillReason::Own(format!("it does not take its code: {error}"))),
        }
        if let Some(commands) = process.commands.take() {
            let _: Flushed = self.lane.attach(commands, &Command::Load(self.spec.load()), now);
        }
        self.step(shared, now, LifeEvent::SandboxEntered);
    }

    fn ready(&mut self, shared: &mut Shared, now: Time, ready: Ready) {
        if !self.check_lockdown() {
            return;
        }
        if let Some(reason) = mismatch(&self.spec, &ready) {
            self.step(shared, now, LifeEvent::LoadFailed(reason.clone()));
            return self.violation(reason);
        }
        // what it says of itself, where it says anything
        for (ours, says) in [(&mut self.spec.name, &ready.name), (&mut self.spec.version, &ready.version)] {
            if !says.is_empty() {
                *ours = shown(says);
            }
        }
        self.step(shared, now, LifeEvent::Loaded);
        let _: Flushed = self.lane.open(now);
    }

    fn pong(&mut self, nonce: u64) {
        match &mut self.process {
            Some(process) if process.ping.is_some_and(|(expected, _)| expected == nonce) => process.ping = None,
            _ => self.violation("a pong without its ping"),
        }
    }

    fn show_answer(&self, shared: &Shared, now: Time, action: Arc<str>, outcome: &Outcome, latency: Duration) {
        let (text, failed) = match outcome {
            Outcome::Ok => ("ok".to_owned(), false),
            Outcome::Answer(text) => (text.clone(), false),
            Outcome::Failed { code, message } if message.is_empty() => (format!("error {code}"), true),
            Outcome::Failed { code, message } => (format!("error {code}: {message}"), true),
            Outcome::Trapped { cause, message } => (format!("{cause:?}: {message}").to_lowercase(), true),
        };
        shared.monitor.publish(MonitorEvent::Answer {
            at: now,
            plugin: self.spec.id.clone(),
            pid: self.process.as_ref().map_or(0, |process| process.pid),
            action,
            outcome: safe(&text).chars().take(200).collect(),
            failed,
            micros: u64::try_from(latency.as_micros()).unwrap_or(u64::MAX),
        });
    }

    /// Nothing ever comes from there: requests are events, only answers go over this socket.
    pub fn read_request(&mut self, shared: &mut Shared, hung_up: bool) {
        let Some(process) = &self.process else { return };
        let _ = shared.epoll.delete(process.requests.as_fd());
        let mut byte = [0];
        let received = recv(process.requests.as_raw_fd(), &mut byte, MsgFlags::MSG_DONTWAIT);
        // a message without bytes looks like the end of the socket; the end of the process is seen elsewhere
        if received.is_ok() && !hung_up {
            self.violation("a message on the request socket");
        }
    }

    pub fn read_exit(&mut self, shared: &mut Shared, now: Time) {
        // what it worked is forgotten with it
        let _: bool = self.look(now);
        let Some(process) = &self.process else { return };
        let end = match process.pidfd.reap() {
            Ok(None) => return,
            Ok(Some(status)) => EndCause::from_wait(status),
            // somebody else took its status; it has ended all the same
            Err(error) => EndCause::Unknown(error.to_string()),
        };
        // before its pipe is emptied: nobody waits for what it still asks for
        self.close_desk(shared);
        self.drain(shared, now);
        let Some(process) = self.process.take() else { return };
        shared.data.end(self.token());
        let exit = match end {
            EndCause::Exited(code) => WorkerExit::from_code(code),
            _ => None,
        };
        let limit_kib = u64::from(self.spec.limits.memory_mib) * 1024;
        let tail: Vec<&str> = self.tail.newest().take(3).collect();
        let cause = process.cause(end, limit_kib, &tail);
        let cause = match (cause, exit) {
            (EndCause::Exited(code), Some(exit)) if let Some(sentence) = exit_sentence(code) => {
                let line = tail.first();
                let failed = process.seen & Once::LoadFailed as u8 != 0;
                match self.life.state() {
                    State::Starting { .. } => {
                        let line = line.map_or(String::new(), |line| format!(" ({line})"));
                        EndCause::NotStarted(format!("{sentence}{line}"))
                    }
                    // from here on the code may be the plugin's own choice, and so may its last line
                    State::Sandboxed { .. } if failed && exit == WorkerExit::Load => {
                        EndCause::NotStarted(sentence.to_owned())
                    }
                    State::Sandboxed { .. } if exit == WorkerExit::Lockdown => {
                        let line = line.map_or(String::new(), |line| format!("; its last log line: {line:?}"));
                        EndCause::NotStarted(format!("{sentence}{line}"))
                    }
                    // the worker noticed before we did
                    State::Ready { .. } | State::Stopping { .. } if exit == WorkerExit::Events => {
                        EndCause::Killed(KillReason::Protocol(EVENTS_CLOSED.into()))
                    }
                    _ => EndCause::Exited(code),
                }
            }
            (cause, _) => cause,
        };
        drop(process);
        let timed_out = matches!(cause, EndCause::Killed(KillReason::CallDeadline { .. }));
        self.lane.detach(timed_out);
        if !matches!(self.life.state(), State::Stopping { .. }) {
            tracing::warn!("{}: its worker ended: {cause}", self.spec.id);
        }
        if let (Some(exit), EndCause::NotStarted(why)) = (exit, &cause) {
            self.ended_without_layer(shared, now, exit, why);
        }
        self.step(shared, now, LifeEvent::Ended(cause));
    }

    /// Takes what an ended worker has left in its pipes.
    fn drain(&mut self, shared: &mut Shared, now: Time) {
        for _ in 0..DRAIN_READS {
            let Some(process) = &mut self.process else { break };
            if process.closed_since.is_some() || process.events.fill().is_err() {
                break;
            }
            self.take_events(shared, now);
        }
        self.drain_log(shared, now);
    }
}

/// What a plugin says of itself, as it is shown.
fn shown(says: &str) -> String {
    safe(says).chars().take(80).collect()
}

/// Why an installed plugin is not what its manifest says, where its code says otherwise: whoever
/// installed it agreed to the manifest.
fn mismatch(spec: &PluginSpec, ready: &Ready) -> Option<String> {
    let said = [("name", &spec.name, &ready.name), ("version", &spec.version, &ready.version)];
    let differs = |(_, ours, says): &(_, &String, &String)| !says.is_empty() && ours != says;
    let (what, ours, says) = said.into_iter().find(differs).filter(|_| spec.origin == Origin::Installed)?;
    Some(format!(
        "its code says that its {what} is '{}', its manifest that it is '{ours}': one of them is of another plugin",
        shown(says)
    ))
}

/// What an outcome carries of the plugin's own words.
fn words(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Ok => "",
        Outcome::Answer(text) | Outcome::Failed { message: text, .. } | Outcome::Trapped { message: text, .. } => text,
    }
}
