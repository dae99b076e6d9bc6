//! The daemon's side of the control socket.

use super::Running;
use super::comparison::Tell;
use super::reload::Applied;
use super::router::Notice;
use crate::action::ExecutorStatus;
use crate::control::Daemon;
use crate::control::model::{EngineCounts, ModeReport, NotYet, PluginsReport, PortStatus, Ports, ReloadReport, Status};
use crate::control::protocol::{ErrorCode, ModeTarget, Params, Refusal};
use crate::mapping::types::{Effect, Input};
use crate::midi::output::OutputStatus;
use crate::midi::ports;
use crate::monitor::Monitor;
use crate::plugins::store::StoreError;
use crate::workers::manager::{Loading, Problem};
use crate::workers::status::WorkerStatus;
use midimon_shared::PluginId;
use midimon_shared::context::{TriggerContext, TriggerStamp};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long `midimon reload` waits for plugins that have to be compiled.
const RELOAD_PATIENCE: Duration = Duration::from_secs(10);

/// How long plugins that were disabled or removed may take to end: they get 2 s, the rest is quick.
const STOP_PATIENCE: Duration = Duration::from_secs(5);
const STOP_POLL: Duration = Duration::from_millis(10);

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
            safe_mode: self.safe_mode,
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
        let Applied { modes, mappings, mut warnings, compared } = self.reload_config(true, Tell::Asker)?;
        // whoever asked wants to see the plugins too, unless compiling them takes long
        self.plugins.wait(Some(RELOAD_PATIENCE));
        if let Some(found) = compared.and_then(|number| self.comparison.warnings(number)) {
            warnings.append(found);
        }
        Ok(ReloadReport {
            path: self.config.path().to_owned(),
            modes,
            mappings,
            warnings: (!warnings.is_empty()).then(|| warnings.render(false)),
            plugins: self.plugin_problems(),
        })
    }

    fn plugins_changed(&self) -> Result<PluginsReport, Refusal> {
        let read = self.take_store();
        let is_asked = self.may_start();
        let is_loaded = !is_asked || self.plugins.wait(Some(RELOAD_PATIENCE));
        let not_yet = match (self.wait_stopped(), read, is_asked, is_loaded) {
            (false, ..) => Some(NotYet::Stopping),
            (_, Err(_), ..) => Some(NotYet::Store),
            (_, _, false, _) => Some(NotYet::Configuration),
            (.., false) => Some(NotYet::Compiling),
            _ => None,
        };
        Ok(PluginsReport { not_yet, problems: self.plugin_problems() })
    }

    fn call_plugin(
        &self,
        id: &PluginId,
        action: String,
        mut params: Params,
        velocity: Option<u8>,
    ) -> Result<String, Refusal> {
        self.worker(id)?;
        if params.insert("action".to_owned(), action.into()).is_some() {
            let why = "a parameter cannot be called `action`: that is the name of the action itself";
            return Err(Refusal::new(ErrorCode::BadRequest, why));
        }
        let context = velocity.map(|velocity| TriggerContext::new().with_velocity(velocity));
        let answer = self.manager.execute_plugin(id.as_str(), params.into(), context);
        answer.map(|answer| answer.text).map_err(|error| Refusal::new(ErrorCode::Failed, error.to_string()))
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
    /// Takes what is installed, allowed and revoked by now. What may not run any more is
    /// stopped; the rest is looked through by the plugins' thread.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) fn take_store(&self) -> Result<(), StoreError> {
        let read = self.manager.store_changed();
        if let Err(error) = &read {
            tracing::error!("installed plugins are stopped: {error}");
        }
        if self.may_start() {
            self.comparison.await_plugins();
            self.plugins.ask();
        }
        read
    }

    /// Whether the user's word on plugins is known: which are disabled, and what their limits are.
    /// Without a file there is none.
    fn may_start(&self) -> bool {
        self.config.is_loaded() || !self.config.path().exists()
    }

    /// Waits until what is not to run any more has ended: whoever removes a plugin removes
    /// its data next, and whoever takes a grant back wants it gone.
    fn wait_stopped(&self) -> bool {
        let deadline = Instant::now() + STOP_PATIENCE;
        while self.manager.has_outgoing() {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(STOP_POLL);
        }
        true
    }

    fn no_such_plugin(&self, id: &PluginId, known: &[String]) -> String {
        let Loading { compiling, waiting } = self.manager.loading();
        if compiling.iter().chain(&waiting).any(|loading| loading == id) {
            return format!("plugin {id} is not ready yet; `midimon status` says what it waits for");
        }
        let problems = self.manager.problems();
        match problems.iter().find(|problem| problem.plugin.as_ref() == Some(id)) {
            Some(problem) => format!("plugin {id} is not loaded: {}", problem.reason),
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
        let mut problems = self.plugin_problems();
        problems.extend(self.unreported());
        problems.extend(self.inputs().problems());
        problems
    }

    /// Plugins that were to report only and that are not there.
    fn unreported(&self) -> Vec<String> {
        let (is_done, there) = (self.plugins.is_done(), self.manager.list());
        let missing = self.report_only.iter().filter(|id| is_done && !there.contains(id));
        missing.map(|id| format!("plugin {id}: --sandbox-report names it, and it is not loaded")).collect()
    }

    fn plugin_problems(&self) -> Vec<String> {
        if self.safe_mode {
            return vec!["safe mode: no plugin is started; start without --safe-mode to have them".to_owned()];
        }
        // before what is there, or a plugin could be in neither
        let (is_done, loading) = (self.plugins.is_done(), self.manager.loading());
        let (there, problems) = (self.manager.list(), self.manager.problems());
        let (_, compiled) = self.router.mode();
        let called = compiled.bindings.iter().map(|binding| &binding.plugin).collect();
        let heard = compiled.events.plugins().collect();
        plugin_problems(is_done, &loading, &problems, &there, &Wanted { called, heard })
    }
}

/// The plugins that mappings name.
#[derive(Default)]
struct Wanted<'w> {
    /// For actions.
    called: BTreeSet<&'w PluginId>,
    /// For events.
    heard: BTreeSet<&'w PluginId>,
}

/// What is wrong with plugins, or takes long, a sentence each. Those that are `wanted` are
/// missed only when it `is_done` or known what is there.
fn plugin_problems(
    is_done: bool,
    loading: &Loading,
    problems: &[Problem],
    there: &[PluginId],
    wanted: &Wanted<'_>,
) -> Vec<String> {
    let Loading { compiling, waiting } = loading;
    let compiling_now = compiling.iter().map(|id| match &waiting[..] {
        [] => format!("still compiling {id}"),
        waiting => {
            let waiting: Vec<&str> = waiting.iter().map(PluginId::as_str).collect();
            format!("still compiling {id}; after it comes {}", waiting.join(", "))
        }
    });
    let is_known = is_done || compiling.is_some();
    let is_accounted = |id: &PluginId| {
        let is_problem = problems.iter().any(|problem| problem.plugin.as_ref() == Some(id));
        is_problem || there.contains(id) || waiting.contains(id) || compiling.as_ref() == Some(id)
    };
    let all = wanted.called.union(&wanted.heard);
    let missing = all.filter(|&&id| is_known && !is_accounted(id)).map(|id| {
        let why = if wanted.called.contains(id) { "call it" } else { "wait for its events" };
        format!("plugin {id}: mappings {why}, but it is disabled or not in [plugins] dir")
    });
    compiling_now.chain(problems.iter().map(ToString::to_string)).chain(missing).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn id(id: &str) -> PluginId {
        id.parse().unwrap()
    }

    #[test]
    fn a_plugin_is_missed_once_it_is_known_what_is_there_and_not_while_its_turn_comes() {
        let (gone, slow, next, bad) = (id("gone"), id("slow"), id("next"), id("bad"));
        let silent = id("silent");
        let wanted = Wanted {
            called: BTreeSet::from([&gone, &slow, &next, &bad]),
            heard: BTreeSet::from([&gone, &next, &silent]),
        };
        let problems = [Problem { plugin: Some(bad.clone()), reason: "no code".to_owned() }];
        let missing = "plugin gone: mappings call it, but it is disabled or not in [plugins] dir";
        let unheard = "plugin silent: mappings wait for its events, but it is disabled or not in [plugins] dir";

        let unknown = plugin_problems(false, &Loading::default(), &[], &[], &wanted);
        assert_eq!(unknown, Vec::<String>::new());
        let loading = Loading { compiling: Some(slow.clone()), waiting: vec![next.clone()] };
        let told = plugin_problems(false, &loading, &problems, &[], &wanted);
        assert_eq!(told, ["still compiling slow; after it comes next", "plugin bad: no code", missing, unheard]);
        let done = plugin_problems(true, &Loading::default(), &problems, &[slow.clone(), next.clone()], &wanted);
        assert_eq!(done, ["plugin bad: no code", missing, unheard]);
    }

    #[test]
    fn a_directory_that_cannot_be_read_is_told_as_a_sentence_of_its_own() {
        let problem = Problem { plugin: None, reason: "cannot read the plugin directory /x".to_owned() };
        let told = plugin_problems(true, &Loading::default(), &[problem], &[], &Wanted::default());
        assert_eq!(told, ["cannot read the plugin directory /x"]);
    }
}
