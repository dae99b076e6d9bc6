//! The daemon's side of the control socket.

use super::Running;
use super::router::Notice;
use crate::action::ExecutorStatus;
use crate::control::Daemon;
use crate::control::model::{EngineCounts, ModeReport, PortStatus, Ports, ReloadReport, Status};
use crate::control::protocol::{ErrorCode, ModeTarget, Refusal};
use crate::mapping::types::{Effect, Input};
use crate::midi::output::OutputStatus;
use crate::midi::ports;
use crate::monitor::Monitor;
use crate::workers::status::WorkerStatus;
use midimon_shared::PluginId;
use midimon_shared::context::TriggerStamp;
use std::collections::BTreeSet;
use std::path::PathBuf;

impl Daemon for Running {
    fn status(&self) -> Status {
        let mut workers = self.manager.status();
        for worker in &mut workers {
            worker.log_tail.clear();
        }
        let (mode, compiled) = self.router.mode();
        let (messages, hits, refused_delays) = self.router.counts();
        let ExecutorStatus { keys, programs, outputs } = self.executor.status();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: i32::try_from(std::process::id()).unwrap_or(i32::MAX),
            uptime_s: self.started.elapsed().as_secs(),
            home: self.home.explicit().map_or_else(|| parent(self.home.plugins_dir()), PathBuf::from),
            config: self.config.status(),
            mode: compiled.modes.get(usize::from(mode)).map(ToString::to_string),
            inputs: self.input_status(),
            outputs: outputs.iter().map(port_status).collect(),
            engine: EngineCounts {
                messages,
                hits,
                refused_delays,
                effects: keys.sent + programs.started + outputs.iter().map(|output| output.sent).sum::<u64>(),
                effects_failed: keys.failed
                    + keys.dropped
                    + programs.failed
                    + programs.timed_out
                    + programs.dropped
                    + outputs.iter().map(|output| output.dropped).sum::<u64>(),
            },
            missed_events: self.monitor.missed(),
            problems: self.problems(),
            workers,
        }
    }

    fn worker(&self, id: &PluginId) -> Result<WorkerStatus, Refusal> {
        let mut workers = self.manager.status();
        let known: Vec<String> = workers.iter().map(|worker| worker.id.to_string()).collect();
        match workers.iter().position(|worker| worker.id == *id) {
            Some(index) => Ok(workers.swap_remove(index)),
            None => Err(Refusal::new(ErrorCode::NotFound, self.no_such_plugin(id, &known))),
        }
    }

    fn restart_worker(&self, id: &PluginId) -> Result<WorkerStatus, Refusal> {
        self.worker(id)?;
        self.manager.restart(id).map_err(|error| Refusal::new(ErrorCode::Failed, error.to_string()))?;
        self.worker(id)
    }

    fn reload(&self) -> Result<ReloadReport, Refusal> {
        self.reload_config(true)
    }

    fn panic(&self) {
        tracing::warn!("panic: everything is released");
        self.router.step(crate::clock::now(), Input::ReleaseAll);
        self.executor.submit(&Effect::Panic, &TriggerStamp::default());
    }

    fn stop(&self) {
        let _ = self.notices.send(Notice::Stop); // fails only when it has stopped already
    }

    fn mode(&self, target: Option<&ModeTarget>) -> Result<ModeReport, Refusal> {
        if let Some(target) = target {
            let (mode, compiled) = self.router.mode();
            let count = u16::try_from(compiled.modes.len()).unwrap_or(u16::MAX).max(1);
            let to = match target {
                ModeTarget::Next => (mode + 1) % count,
                ModeTarget::Previous => (mode + count - 1) % count,
                ModeTarget::Name(name) => compiled.mode_index(name).ok_or_else(|| {
                    let modes = compiled.modes.join(", ");
                    Refusal::new(ErrorCode::NotFound, format!("no mode {name:?}; there are: {modes}"))
                })?,
            };
            self.router.step(crate::clock::now(), Input::SetMode(to));
        }
        let (mode, compiled) = self.router.mode();
        Ok(ModeReport {
            mode: compiled.modes.get(usize::from(mode)).map(ToString::to_string).unwrap_or_default(),
            modes: compiled.modes.iter().map(ToString::to_string).collect(),
        })
    }

    fn ports(&self) -> Result<Ports, Refusal> {
        let list = ports::ports(&self.config.selection());
        list.map(Ports::from).map_err(|error| Refusal::new(ErrorCode::Failed, error.to_string()))
    }

    fn monitor(&self) -> &Monitor {
        &self.monitor
    }
}

impl Running {
    fn no_such_plugin(&self, id: &PluginId, known: &[String]) -> String {
        let problems = self.manager.problems();
        match problems.iter().find(|(what, _)| *what == id.to_string()) {
            Some((_, reason)) => format!("plugin {id} is not loaded: {reason}"),
            None if known.is_empty() => format!("no plugin {id}; no plugin is loaded"),
            None => format!("no plugin {id}; there are: {}", known.join(", ")),
        }
    }

    fn input_status(&self) -> Vec<PortStatus> {
        let devices = self.devices.all();
        devices
            .iter()
            .map(|device| device.status())
            .map(|device| PortStatus {
                name: device.name.to_string(),
                connected: device.connected,
                messages: device.messages,
                note: None,
            })
            .collect()
    }

    /// What keeps something from working, for people.
    fn problems(&self) -> Vec<String> {
        let plugins =
            self.manager.problems().into_iter().map(|(what, reason)| {
                if reason.starts_with(&what) { reason } else { format!("plugin {what}: {reason}") }
            });
        plugins.chain(self.missing_plugins()).chain(self.unreported()).chain(self.inputs().problems()).collect()
    }

    /// Plugins that were to report only and that are not there.
    fn unreported(&self) -> Vec<String> {
        let there = self.manager.list();
        let missing = self.report_only.iter().filter(|id| !there.contains(id));
        missing.map(|id| format!("plugin {id}: --sandbox-report names it, and it is not loaded")).collect()
    }

    /// Plugins that mappings call and that are not there.
    fn missing_plugins(&self) -> Vec<String> {
        let (there, problems) = (self.manager.list(), self.manager.problems());
        let (_, compiled) = self.router.mode();
        let called: BTreeSet<&PluginId> = compiled.bindings.iter().map(|binding| &binding.plugin).collect();
        let missing = called
            .into_iter()
            .filter(|id| !there.contains(id) && !problems.iter().any(|(what, _)| *what == id.to_string()));
        missing.map(|id| format!("plugin {id}: mappings call it, but it is disabled or not in [plugins] dir")).collect()
    }
}

fn port_status(output: &OutputStatus) -> PortStatus {
    PortStatus {
        name: output.name.clone(),
        connected: output.port.is_some(),
        messages: output.sent,
        note: output.error.clone(),
    }
}

fn parent(mut path: PathBuf) -> PathBuf {
    path.pop();
    path
}
