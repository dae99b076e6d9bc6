//! A worker's sandbox as the supervisor sees it, and what the worker does against it.

use super::Shared;
use super::slot::Slot;
use crate::audit::AuditEvent;
use crate::clock::Time;
use crate::sys::syscalls::SystemCall;
use crate::workers::cause::{EndCause, KillReason};
use crate::workers::lifecycle::{Event as LifeEvent, State};
use crate::workers::sandbox::{Flaw, layer_of, missing_text, own_words};
use crate::workers::violations::MAX_DENIED;
use midimon_shared::WorkerExit;
use midimon_shared::protocol::Hello;
use midimon_shared::sandbox::{LayerReport, LayerState, SandboxLevel};
use midimon_shared::spawn::Violations;

/// What a worker that only reports says in its plugin's log.
const REPORTED: &str = "midimon: forbidden system call";

impl Slot {
    /// Looks at the sandbox after `Hello`; true when the plugin's code may be sent.
    pub(super) fn check_sandbox(&mut self, shared: &mut Shared, now: Time, hello: &Hello) -> bool {
        let Some(process) = &mut self.process else { return false };
        match process.check_sandbox(&hello.layers, self.spec.missing_layers) {
            Ok(()) => return true,
            // no code of the plugin has run
            Err(Flaw::Broken(what) | Flaw::Unseen(what)) => self.kill(KillReason::Own(what)),
            Err(Flaw::Missing(what)) => {
                self.step(shared, now, LifeEvent::LoadFailed(what));
                self.kill(KillReason::StoppedEarly); // no fault of the plugin's
            }
        }
        false
    }

    /// Looks at the sandbox after `Ready`; true when the second filter is on every thread.
    pub(super) fn check_lockdown(&mut self) -> bool {
        let Some(process) = &mut self.process else { return false };
        match process.check_lockdown() {
            Ok(()) => {}
            Err(Flaw::Unseen(what)) => {
                self.kill(KillReason::Own(what));
                return false;
            }
            Err(Flaw::Broken(what) | Flaw::Missing(what)) => {
                self.kill(KillReason::SandboxCheck(what));
                return false;
            }
        }
        if process.level() < SandboxLevel::Baseline {
            let lacks = process.layers.iter().filter(|report| report.layer.is_baseline());
            let lacks = lacks.filter(|report| report.state == LayerState::Unavailable);
            let names: Vec<&str> = lacks.map(|report| report.layer.as_str()).collect();
            tracing::warn!("{}: runs without {}, since allow_degraded says so", self.spec.id, names.join(", "));
        }
        true
    }

    /// The worker says that it made a forbidden call. It ends now, unless it only reports;
    /// [`super::super::violations::DENIED_LIMIT`] is what it gets for that.
    pub(super) fn denied(&mut self, shared: &Shared, now: Time, number: u32) {
        let call = SystemCall(number);
        if self.spec.violations == Violations::Report {
            if self.violations.reported(call) {
                tracing::warn!("{}: forbidden system call {call}: reported only, it got EPERM", self.spec.id);
                let line = format!("{REPORTED} {call}: reported only, it got EPERM");
                if let Some(logs) = &shared.logs {
                    logs.write(&self.spec.id, &line);
                }
                self.tail.push(line);
                let what = format!("forbidden system call {call}, reported only");
                shared.audit.record(&self.spec.id, AuditEvent::Violation { what });
            }
            return;
        }
        let Some(process) = &mut self.process else { return };
        process.denied.get_or_insert((call, now));
        process.denials += 1;
        if process.denials > MAX_DENIED {
            self.violation(format!("it goes on after a forbidden system call, {call}"));
        }
    }

    /// What an exit code of the worker program says while the worker was being started: the layer
    /// it lacks is what keeps the plugin from running, here and each time.
    pub(super) fn ended_without_layer(&mut self, shared: &mut Shared, now: Time, exit: WorkerExit, why: &str) {
        let text = match (self.life.state(), layer_of(exit)) {
            // no code of the plugin has run: it is as it says
            (State::Starting { .. }, Some(layer)) => missing_text(layer, own_words(exit, why)),
            // its threads may differ in their filters
            (State::Sandboxed { .. }, Some(_)) if exit == WorkerExit::Lockdown => why.to_owned(),
            _ => return,
        };
        self.step(shared, now, LifeEvent::LoadFailed(text));
    }

    /// Records a start, an end and a violation.
    pub(super) fn record(&mut self, shared: &Shared, event: &LifeEvent) {
        let record = |event| shared.audit.record(&self.spec.id, event);
        match event {
            LifeEvent::Loaded => {
                if let Some(process) = &self.process {
                    let (version, sandbox) = (self.spec.version.clone(), process.level().to_string());
                    record(AuditEvent::Started { pid: process.pid, version, sandbox });
                }
            }
            LifeEvent::Ended(cause) => {
                if cause.is_violation() {
                    record(AuditEvent::Violation { what: cause.to_string() });
                    self.violations.record(cause.to_string());
                }
                let asked = matches!((self.life.state(), cause), (State::Stopping { .. }, EndCause::Exited(0)));
                let cause = if asked { "stopped as asked".to_owned() } else { cause.to_string() };
                record(AuditEvent::Ended { cause });
            }
            _ => {}
        }
    }

    /// The layers that hold now; none without a process.
    pub(super) fn layers(&self) -> Vec<LayerReport> {
        self.process.as_ref().map_or_else(Vec::new, |process| process.layers.clone())
    }
}
