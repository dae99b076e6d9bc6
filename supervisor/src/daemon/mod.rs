//! The daemon: wires the parts together and owns their shutdown.
//!
//! [`router`] is the hot path. Everything slow happens elsewhere: [`plugins`] finds
//! and compiles plugins, the manager's threads run them, the executor's threads have
//! effects, and the main thread here waits for notices and reads the configuration.

mod catalogue;
mod comparison;
mod control;
mod effects;
mod plugins;
mod reload;
pub mod router;
mod signals;
mod sources;
mod timers;
mod watch;

pub use catalogue::Catalogue;

use crate::action::{Executor, KeyboardChoice};
use crate::control::Daemon;
use crate::control::model::Status;
use crate::control::server::{Server, ServerError};
use crate::home::{Home, HomeError, Lock};
use crate::mapping::types::Input;
use crate::midi::MidiSink;
use crate::midi::device::DeviceTable;
use crate::midi::hotplug::Hotplug;
use crate::midi::input::{InputError, InputOptions, InputSpec, Inputs};
use crate::midi::output::{NoteFn, Outputs, Pace};
use crate::midi::replay::Speed;
use crate::midi::seq::SeqError;
use crate::monitor::Monitor;
use crate::plugins::store::{Locked, Store};
use crate::workers::manager::{ManagerError, ManagerOptions, PluginManager};
use comparison::{Comparison, Tell};
use effects::PluginEffects;
use midimon_shared::PluginId;
use notify::RecommendedWatcher;
use plugins::PluginSync;
use reload::{Applied, ConfigHolder};
use router::{Notice, Router};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the end of all work is looked for once the last input has ended.
const DONE_POLL: Duration = Duration::from_millis(10);
/// How long the control socket waits for the plugins when the daemon starts.
const SOCKET_PATIENCE: Duration = Duration::from_secs(1);
/// How long releases may take to reach the plugins when the daemon stops.
const RELEASE_LIMIT: Duration = Duration::from_millis(500);

/// What `midimon run` was asked for.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Where the files lie.
    pub home: Home,
    /// The configuration, where it is not the home's own.
    pub config: Option<PathBuf>,
    /// Inputs in the order asked for; none means the hardware the configuration asks for.
    pub inputs: Vec<InputSpec>,
    /// How fast files are replayed.
    pub speed: Speed,
    /// Whether replayed files start again at their end.
    pub looped: bool,
    /// Plugins under development whose forbidden system calls are reported and fail, instead of
    /// ending them.
    pub report_only: BTreeSet<PluginId>,
    /// Whether no plugin at all is started.
    pub safe_mode: bool,
    /// Where what happens is published; whoever wants all of it watches before the run.
    pub monitor: Arc<Monitor>,
    /// Whether the daemon ends when every replayed input has ended, every trigger is
    /// answered, every text typed, every command over and every message sent.
    pub exit_when_done: bool,
}

/// Why the daemon could not run.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum DaemonError {
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error(transparent)]
    Manager(#[from] ManagerError),
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
}

/// The parts of a running daemon that other threads ask.
struct Running {
    home: Home,
    monitor: Arc<Monitor>,
    router: Arc<Router>,
    manager: Arc<PluginManager>,
    plugins: PluginSync,
    comparison: Arc<Comparison>,
    executor: Arc<Executor>,
    hotplug: Result<Arc<Hotplug>, SeqError>,
    devices: Arc<DeviceTable>,
    inputs: Mutex<Inputs>,
    config: ConfigHolder,
    report_only: BTreeSet<PluginId>,
    safe_mode: bool,
    notices: Sender<Notice>,
    started: Instant,
}

/// Runs the daemon until it is told to stop, or is done where that was asked
/// for; the last status before it stopped.
///
/// # Errors
/// What kept it from starting, as a sentence for the user.
pub fn run(options: RunOptions) -> Result<Status, DaemonError> {
    let (notices, noticed) = channel();
    // before any other thread: the signals must be blocked in all of them
    signals::start(notices.clone()).map_err(DaemonError::Thread)?;
    options.home.prepare()?;
    let _lock = Lock::take(&options.home)?;
    clean_store(&options.home);
    let running = start(&options, notices)?;
    // before the first read, so that no change after it is missed
    let _watchers = running.watch();
    let timers = Router::start_timers(&running.router).map_err(DaemonError::Thread)?;
    let served = running.serve(&options, &noticed);
    let status = running.end(timers);
    served.map(|_server| status) // the socket is the last to close
}

/// Removes what an interrupted installation left over, unless one is under way.
fn clean_store(home: &Home) {
    match Store::open(home).try_lock() {
        Ok(locked) => {
            let left = locked.iter().flat_map(Locked::left_over);
            left.for_each(|left| tracing::warn!("installed plugins: {left}"));
        }
        Err(error) => tracing::warn!("installed plugins: {error}"),
    }
}

/// Makes the parts and wires them; nothing comes in yet.
fn start(options: &RunOptions, notices: Sender<Notice>) -> Result<Arc<Running>, DaemonError> {
    let home = options.home.clone();
    let monitor = options.monitor.clone();
    let hotplug = Hotplug::start().map(Arc::new);
    let note: NoteFn = {
        let monitor = monitor.clone();
        Arc::new(move |text: String| router::note(&monitor, text))
    };
    let outputs = Outputs::new(&hotplug, Pace::USB, note.clone());
    let executor = Executor::new(outputs, KeyboardChoice::from_env(), note).map_err(DaemonError::Thread)?;
    let executor = Arc::new(executor);
    let router = Arc::new(Router::new(executor.clone(), monitor.clone(), notices.clone()));
    let manager = Arc::new(PluginManager::new(ManagerOptions {
        programs: None,
        plugins: None,
        installed: (!options.safe_mode).then(|| Store::open(&home)),
        compiled: Some(home.compiled_dir()),
        data: home.plugin_data_dir(),
        logs: Some(home.logs_dir()),
        audit: Some(home.audit_dir()),
        state: Some(home.state_dir()),
        report_only: options.report_only.clone(),
        cgroups: true,
        effects: Some(Arc::new(PluginEffects::new(executor.clone(), router.clone(), monitor.clone()))),
        monitor: monitor.clone(),
    })?);
    let config = ConfigHolder::new(options.config.clone().unwrap_or_else(|| home.config_file()));
    let comparison = Arc::<Comparison>::default();
    let plugins = {
        let manager = manager.clone();
        let comparison = comparison.clone();
        let look_through = move || manager.sync_and_tell(&|found| comparison.set_plugins(Catalogue::of(found)));
        PluginSync::start(look_through).map_err(DaemonError::Thread)?
    };
    let running = Arc::new(Running {
        home,
        monitor,
        router,
        manager,
        plugins,
        comparison,
        executor,
        hotplug,
        devices: Arc::default(),
        inputs: Mutex::default(),
        config,
        report_only: options.report_only.clone(),
        safe_mode: options.safe_mode,
        notices,
        started: Instant::now(),
    });
    Ok(running)
}

fn start_inputs(running: &Arc<Running>, options: &RunOptions, specs: &[InputSpec]) -> Result<(), DaemonError> {
    let input_options =
        InputOptions { selection: running.config.selection(), speed: options.speed, repeat: options.looped };
    let sink: Arc<dyn MidiSink> = running.router.clone();
    let inputs = Inputs::start(specs, &input_options, &running.devices, &running.hotplug, &sink)?;
    for problem in inputs.problems() {
        tracing::warn!("{problem}");
    }
    *running.inputs() = inputs;
    Ok(())
}

impl Running {
    fn inputs(&self) -> std::sync::MutexGuard<'_, Inputs> {
        self.inputs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts everything and waits for the end; the control socket, still open.
    fn serve(self: &Arc<Self>, options: &RunOptions, noticed: &Receiver<Notice>) -> Result<Server, DaemonError> {
        let specs = if options.inputs.is_empty() { vec![InputSpec::Hardware(None)] } else { options.inputs.clone() };
        let ending = specs.iter().filter(|spec| spec.ends()).count();
        self.reload_and_log(true);
        // whoever finds the socket finds the plugins too, unless compiling them takes long
        self.plugins.wait(Some(SOCKET_PATIENCE));
        let server = Server::start(&self.home.socket(), self.clone())?;
        if ending > 0 {
            self.tell_when_settled()?;
        } else {
            start_inputs(self, options, &specs)?;
        }
        tracing::info!("midimon {} runs, pid {}", env!("CARGO_PKG_VERSION"), std::process::id());
        let start_files = || start_inputs(self, options, &specs);
        self.wait(noticed, options.exit_when_done.then_some(ending), start_files)?;
        Ok(server)
    }

    /// Sends a notice when every plugin is ready, or known not to be: each event of
    /// a file counts, so its plugins are to be there for the first.
    fn tell_when_settled(self: &Arc<Self>) -> Result<(), DaemonError> {
        let running = self.clone();
        let tell = move || {
            if !running.plugins.wait(None) {
                return;
            }
            for id in running.manager.list() {
                if let Err(error) = running.manager.wait_ready(&id) {
                    tracing::warn!("{error}");
                }
            }
            let _ = running.notices.send(Notice::PluginsSettled); // fails only when it has stopped
        };
        std::thread::Builder::new().name("settled".into()).spawn(tell).map(drop).map_err(DaemonError::Thread)
    }

    /// Stops everything in order; the last status before.
    fn end(&self, timers: JoinHandle<()>) -> Status {
        tracing::info!("stopping");
        drop(std::mem::take(&mut *self.inputs()));
        self.manager.stop_loading();
        self.plugins.stop();
        self.router.step(crate::clock::now(), Input::ReleaseAll);
        self.wait_answered(RELEASE_LIMIT);
        let status = self.status();
        self.router.stop_timers();
        let _ = timers.join(); // a panic there was reported there
        self.manager.shutdown();
        self.executor.shutdown();
        status
    }

    /// Waits for the end: a request to stop, or, when `ending` inputs are all there
    /// is to do, the last answer after the last of them. `start_files` starts inputs
    /// that wait for the plugins.
    fn wait(
        &self,
        noticed: &Receiver<Notice>,
        mut ending: Option<usize>,
        start_files: impl Fn() -> Result<(), DaemonError>,
    ) -> Result<(), DaemonError> {
        loop {
            let notice = match ending {
                Some(0) if self.is_idle() => return Ok(()),
                Some(0) => noticed.recv_timeout(DONE_POLL),
                _ => noticed.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match notice {
                Ok(Notice::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Ok(Notice::PluginsSettled) => start_files()?,
                Ok(Notice::Reload) => self.reload_and_log(true),
                Ok(Notice::ConfigChanged) => self.reload_and_log(false),
                Ok(Notice::StoreChanged) => drop(self.take_store()), // a failure was logged there
                Ok(Notice::InputFinished) => ending = ending.map(|left| left.saturating_sub(1)),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn reload_and_log(&self, plugins_too: bool) {
        match self.reload_config(plugins_too, Tell::Log) {
            Ok(Applied { mappings, warnings, .. }) => {
                tracing::info!("configuration read: {mappings} mappings");
                if !warnings.is_empty() {
                    tracing::warn!("{}", warnings.render(false).trim_end());
                }
            }
            Err(refusal) if self.config.is_loaded() => {
                tracing::error!("{refusal}\nthe configuration before stays in force");
            }
            Err(_) if !self.config.path().exists() => {
                tracing::warn!(
                    "there is no configuration {}: MIDI comes in and installed plugins run, but nothing is mapped; \
                     it counts as soon as it is saved there",
                    self.config.path().display()
                );
                // nobody has said anything against them
                self.plugins.ask();
            }
            Err(refusal) => tracing::error!("{refusal}\nuntil that is corrected nothing is mapped and no plugin runs"),
        }
    }

    /// Watches the configuration, and what is installed: a command that was killed before it
    /// told us has changed it all the same.
    fn watch(&self) -> [Option<RecommendedWatcher>; 2] {
        let config = watch::config(self.config.path(), self.notices.clone());
        [config, watch::store(&self.home, self.notices.clone()).filter(|_| !self.safe_mode)]
    }

    fn is_idle(&self) -> bool {
        self.plugins.is_done() && self.router.is_idle() && self.manager.in_flight() == 0 && self.executor.is_idle()
    }

    fn wait_answered(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        while self.manager.in_flight() > 0 && Instant::now() < deadline {
            std::thread::sleep(DONE_POLL);
        }
    }
}
