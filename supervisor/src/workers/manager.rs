//! All plugins of one program: find, load, call, watch, stop.
//!
//! This is what the daemon uses, and what another program embeds:
//!
//! ```no_run
//! use midimon::workers::manager::{ManagerOptions, PluginManager};
//! use midimon_shared::TriggerContext;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let manager = PluginManager::new(ManagerOptions::new("plugins", "plugin-data"))?;
//! manager.load_plugin("echo")?;
//! let params = serde_json::json!({ "action": "say", "text": "hello" });
//! let answer = manager.execute_plugin("echo", params, Some(TriggerContext::new().with_velocity(100)))?;
//! println!("{}", answer.text);
//! manager.shutdown();
//! # Ok(())
//! # }
//! ```

mod error;
mod loading;
#[cfg(test)]
mod tests;

pub use error::{CallError, LoadError, ManagerError};
pub use loading::{Loading, Problem};

use super::bindings::{self, BindError, BindSpec};
use super::broker::Broker;
use super::broker::effects::Effects;
use super::budget::MAX_THREADS;
use super::cgroup::Cgroups;
use super::lane::{Lane, NameTables};
use super::log_file::LogFiles;
use super::pool::{Parts, Pool, Request, Requests, STOPPING};
use super::prepare::Prepare;
use super::quarantine::Quarantine;
use super::ring::{CallEnd, Route};
use super::spawner::Spawner;
use super::status::WorkerStatus;
use crate::audit::Audit;
use crate::clock;
use crate::monitor::Monitor;
use crate::plugins::store::Store;
use crate::sys::proc_stat::ProcStat;
use crate::sys::proc_status::ProcStatus;
use loading::Plugins;
use midimon_shared::context::TriggerStamp;
use midimon_shared::protocol::Outcome;
use midimon_shared::{Capability, Limits, PluginId, TriggerContext};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Where a manager finds and keeps things.
#[derive(Clone, Debug)]
pub struct ManagerOptions {
    /// Directory of the worker programs; `None` is where the running program is.
    pub programs: Option<PathBuf>,
    /// Directory with a folder for each plugin; `None` is no plugins.
    pub plugins: Option<PathBuf>,
    /// Whose installed plugins are started; `None` starts none.
    pub installed: Option<Store>,
    /// Directory of the plugins' data directories.
    pub data: PathBuf,
    /// Directory for the plugins' logs; `None` keeps them in memory only.
    pub logs: Option<PathBuf>,
    /// Directory for the record of what plugins do; `None` records nothing.
    pub audit: Option<PathBuf>,
    /// Directory for what must outlive the program (quarantine); `None` forgets.
    pub state: Option<PathBuf>,
    /// Directory for compiled WASM modules; without it, or without `state`, they are
    /// compiled anew in each run.
    pub compiled: Option<PathBuf>,
    /// Plugins under development whose forbidden system calls are reported and fail, instead of
    /// ending them.
    pub report_only: BTreeSet<PluginId>,
    /// Whether this process may move to another control group, so that each worker can have
    /// one of its own; see [`super::cgroup`].
    pub cgroups: bool,
    /// What plugins that are allowed to can have done with keys, MIDI outputs and the
    /// desktop; `None` refuses it.
    pub effects: Option<Arc<dyn Effects>>,
    /// Where answers and state changes are published.
    pub monitor: Arc<Monitor>,
}

impl ManagerOptions {
    /// Options for a program that embeds a manager: nothing is kept but the plugins' data.
    #[must_use]
    pub fn new(plugins: impl Into<PathBuf>, data: impl Into<PathBuf>) -> Self {
        Self {
            programs: None,
            plugins: Some(plugins.into()),
            installed: None,
            data: data.into(),
            logs: None,
            audit: None,
            effects: None,
            state: None,
            compiled: None,
            report_only: BTreeSet::new(),
            cgroups: false,
            monitor: Arc::default(),
        }
    }
}

/// What the user says about one plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// It is not started.
    pub disabled: bool,
    /// Its limits as the user wants them; the plugin's own wishes can only lower them.
    pub limits: Limits,
    /// What it may do while it is under development, in the order the user wrote it.
    pub grants: Vec<Capability>,
    /// It may run where this system lacks a layer of the sandbox.
    pub allow_degraded: bool,
}

/// What the user says about all plugins; those not named get the default policy.
pub type Policies = BTreeMap<PluginId, Policy>;

/// What a plugin answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its words; can be empty.
    pub text: String,
}

/// Where one binding's triggers go.
#[derive(Clone, Debug)]
pub struct Target {
    /// To which worker.
    pub lane: Arc<Lane>,
    /// As what.
    pub route: Route,
}

/// See the module.
#[derive(Debug)]
pub struct PluginManager {
    requests: Requests,
    audit: Audit,
    prepare: Prepare,
    plugins: Mutex<Plugins>,
    lanes: Mutex<HashMap<PluginId, Arc<Lane>>>,
    names: Mutex<NameTables>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Runs a manager's workers on a thread of the caller's; see [`PluginManager::with_driver`].
#[derive(Debug)]
pub struct Driver(Pool);

impl Driver {
    /// Handles what workers sent and what is due, waiting for it, `at_most` so long
    /// where that is given. False once shut down.
    pub fn run_once(&mut self, at_most: Option<Duration>) -> bool {
        self.0.run_once(at_most)
    }
}

impl PluginManager {
    /// Starts a manager with a thread of its own that watches the workers.
    ///
    /// # Errors
    /// See [`ManagerError`].
    pub fn new(options: ManagerOptions) -> Result<Self, ManagerError> {
        let (manager, Driver(pool)) = Self::with_driver(options)?;
        let thread = std::thread::Builder::new()
            .name("workers".into())
            .spawn(move || pool.run())
            .map_err(ManagerError::Thread)?;
        *manager.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(manager)
    }

    /// A manager whose workers are watched by whoever calls the driver.
    ///
    /// # Errors
    /// See [`ManagerError`].
    pub fn with_driver(options: ManagerOptions) -> Result<(Self, Driver), ManagerError> {
        let programs = match options.programs.clone() {
            Some(programs) => programs,
            None => {
                let mut program = std::env::current_exe().map_err(ManagerError::Programs)?;
                program.pop();
                program
            }
        };
        let spawner = Spawner::start().map_err(ManagerError::Thread)?;
        let cgroups = if options.cgroups { Cgroups::take() } else { Cgroups::off() };
        let prepare = Prepare::new(&options, &programs, spawner.clone())?;
        let quarantine = Quarantine::open(options.state.as_deref());
        let logs = options.logs.map(LogFiles::start).transpose().map_err(ManagerError::Thread)?;
        let audit = options.audit.map(Audit::start).transpose().map_err(ManagerError::Audit)?.unwrap_or_default();
        let broker = Broker::new(options.effects, options.data);
        let monitor = options.monitor;
        let parts = Parts { spawner, cgroups, programs, quarantine, logs, audit: audit.clone(), broker, monitor };
        let (pool, requests) = Pool::new(parts)?;
        let plugins = Plugins::of(options.plugins, options.installed);
        let manager = Self {
            requests,
            audit,
            prepare,
            plugins: Mutex::new(plugins),
            lanes: Mutex::default(),
            names: Mutex::default(),
            thread: Mutex::default(),
        };
        Ok((manager, Driver(pool)))
    }

    fn plugins(&self) -> MutexGuard<'_, Plugins> {
        self.plugins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way of triggers to a plugin, whether or not it is loaded.
    #[must_use]
    pub fn lane(&self, id: &PluginId) -> Arc<Lane> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Lane::new(id.clone(), &Limits::default(), self.requests.waker.clone()));
        match lanes.entry(id.clone()) {
            Entry::Occupied(known) => known.get().clone(),
            Entry::Vacant(vacant) => {
                let lane = vacant.insert(new()).clone();
                lane.set_names(self.names().clone(), clock::now());
                lane
            }
        }
    }

    /// Takes what mappings call. Returns where each binding's triggers go. Living
    /// workers are told the difference only.
    ///
    /// # Errors
    /// The bindings of a plugin are too many or too large, with its id; nothing has
    /// changed then, for no plugin.
    pub fn configure(&self, wanted: &[(PluginId, BindSpec)]) -> Result<Vec<Target>, (PluginId, BindError)> {
        let mut by_plugin: BTreeMap<&PluginId, (Vec<usize>, Vec<BindSpec>)> = BTreeMap::new();
        for (index, (id, spec)) in wanted.iter().enumerate() {
            let (indices, specs) = by_plugin.entry(id).or_default();
            indices.push(index);
            specs.push(spec.clone());
        }
        // all of them before the first is told
        for (&id, (_, specs)) in &by_plugin {
            bindings::check(specs).map_err(|error| (id.clone(), error))?;
        }
        let mut targets: Vec<Option<Target>> = vec![None; wanted.len()];
        let now = clock::now();
        for (&id, (indices, specs)) in &by_plugin {
            let lane = self.lane(id);
            let routes = lane.configure(specs, now).map_err(|error| (id.clone(), error))?;
            for (&index, route) in indices.iter().zip(routes) {
                targets[index] = Some(Target { lane: lane.clone(), route });
            }
        }
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for lane in lanes.values().filter(|lane| !by_plugin.contains_key(lane.plugin())) {
            lane.configure(&[], now).map_err(|error| (lane.plugin().clone(), error))?;
        }
        Ok(targets.into_iter().flatten().collect())
    }

    /// Takes the names of modes and devices behind the indices in triggers.
    pub fn set_names(&self, names: &NameTables) {
        *self.names() = names.clone();
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let now = clock::now();
        lanes.values().for_each(|lane| lane.set_names(names.clone(), now));
    }

    fn names(&self) -> MutexGuard<'_, NameTables> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a plugin is ready or will not be.
    ///
    /// # Errors
    /// It is not loaded, or why it is not ready.
    pub fn wait_ready(&self, id: &PluginId) -> Result<(), LoadError> {
        match self.requests.ask(|reply| Request::Settled(id.clone(), reply)) {
            Some(Ok(())) => Ok(()),
            Some(Err(reason)) => Err(LoadError::NotReady(id.clone(), reason)),
            None => Err(LoadError::NotReady(id.clone(), STOPPING.to_owned())),
        }
    }

    /// Restarts a plugin, a quarantined or failed one included, and waits until it is ready.
    ///
    /// # Errors
    /// It is not loaded, or why it is not ready.
    pub fn restart(&self, id: &PluginId) -> Result<(), LoadError> {
        match self.requests.ask(|reply| Request::Restart(id.clone(), reply)) {
            Some(true) => self.wait_ready(id),
            None => Err(LoadError::NotReady(id.clone(), STOPPING.to_owned())),
            Some(false) => {
                let known: Vec<String> = self.list().iter().map(ToString::to_string).collect();
                Err(LoadError::Unknown(id.clone(), known.join(", ")))
            }
        }
    }

    /// Calls a plugin and waits for the answer.
    ///
    /// `params` is an object: `action` names the plugin's action, everything else
    /// in it are the action's parameters. The wait is bounded by the plugin's deadline.
    ///
    /// # Errors
    /// See [`CallError`].
    pub fn execute_plugin(
        &self,
        id: &str,
        params: serde_json::Value,
        context: Option<TriggerContext>,
    ) -> Result<Answer, CallError> {
        let id: PluginId = id.parse()?;
        if !self.plugins().installed.contains_key(&id) {
            return Err(CallError::NotLoaded(id));
        }
        let serde_json::Value::Object(mut params) = params else { return Err(CallError::NoAction) };
        let Some(serde_json::Value::String(action)) = params.shift_remove("action") else {
            return Err(CallError::NoAction);
        };
        let params = serde_json::Value::Object(params).to_string();
        let spec = BindSpec { action: action.into(), params: params.into(), timeout: None, paired: false };
        let (sender, receiver) = sync_channel(1);
        let now = clock::now();
        self.lane(&id).call(&spec, stamp(&context.unwrap_or_default(), now.as_nanos()), now, sender)?;
        match receiver.recv().unwrap_or(CallEnd::Crashed) {
            CallEnd::Answered(Outcome::Ok) => Ok(Answer { text: String::new() }),
            CallEnd::Answered(Outcome::Answer(text)) => Ok(Answer { text }),
            CallEnd::Answered(Outcome::Failed { code, message }) => Err(CallError::Failed { code, message }),
            CallEnd::Answered(Outcome::Trapped { message, .. }) => Err(CallError::Trapped(message)),
            CallEnd::TimedOut => Err(CallError::TimedOut),
            CallEnd::Crashed => Err(CallError::Crashed),
            CallEnd::Dropped(reason) => Err(CallError::Dropped(reason)),
        }
    }

    /// The loaded plugins, by id.
    #[must_use]
    pub fn list(&self) -> Vec<PluginId> {
        let mut ids: Vec<PluginId> = self.plugins().installed.keys().cloned().collect();
        ids.sort();
        ids
    }

    /// What can be said about each loaded plugin, by id.
    #[must_use]
    pub fn status(&self) -> Vec<WorkerStatus> {
        let mut workers = self.requests.ask(Request::Status).unwrap_or_default();
        for worker in &mut workers {
            let usage = self.prepare.data_usage(&worker.id);
            (worker.data_bytes, worker.data_files) = usage.map_or((0, 0), |usage| (usage.bytes, usage.files));
            worker.memory_kib = worker.pid.and_then(memory_kib);
            let worked = worker.pid.and_then(|pid| ProcStat::read(pid).ok()).map(|stat| stat.worked);
            worker.cpu_ms = worked.map(|worked| u64::try_from(worked.as_millis()).unwrap_or(u64::MAX));
        }
        workers.sort_by(|a, b| a.id.cmp(&b.id));
        workers
    }

    /// Whether a worker still runs that is to give way: its plugin was removed or disabled, or
    /// has another version, other grants or other settings by now.
    #[must_use]
    pub fn has_outgoing(&self) -> bool {
        self.requests.ask(Request::Outgoing).unwrap_or(false)
    }

    /// Calls without an answer, of all plugins.
    #[must_use]
    pub fn in_flight(&self) -> u64 {
        let lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        lanes.values().map(|lane| lane.counts().in_flight).sum()
    }

    /// Ends loading (see [`Self::stop_loading`]) and stops every plugin: each gets
    /// `Shutdown` and two seconds. With
    /// [`Self::new`] it returns when the last one has ended.
    pub fn shutdown(&self) {
        self.stop_loading();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.requests.send(Request::Shutdown);
        if let Some(thread) = thread {
            // a panic of the thread was reported where it happened
            let _ = thread.join();
        }
        self.audit.flush(Duration::from_secs(1)); // a disk that hangs holds up no end
    }
}

impl Drop for PluginManager {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// What it holds, also where its main thread has ended.
fn memory_kib(pid: i32) -> Option<u64> {
    ProcStatus::read_living(pid, MAX_THREADS).ok().map(|seen| seen.status.rss_anon_kib)
}

fn stamp(context: &TriggerContext, now_ns: u64) -> TriggerStamp {
    TriggerStamp {
        velocity: context.velocity,
        mode: context.current_mode.and_then(|mode| u16::try_from(mode).ok()),
        device: None,
        unix_ms: context.timestamp,
        monotonic_ns: if context.monotonic_ns == 0 { now_ns } else { context.monotonic_ns },
        kind: context.kind,
        message: context.message,
    }
}
