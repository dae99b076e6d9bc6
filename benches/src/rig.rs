//! The daemon's own parts, wired as the daemon wires them, but played by hand:
//! bytes go into a [`Feed`], through the [`Router`] and a lane to real workers.

use crate::Result;
use midimon::action::{Executor, KeyboardChoice};
use midimon::clock::{Time, now};
use midimon::daemon::router::{Notice, Router};
use midimon::mapping::load_text;
use midimon::midi::device::{DeviceTable, Feed};
use midimon::midi::output::{NoteFn, Outputs, Pace};
use midimon::midi::seq::SeqError;
use midimon::monitor::Monitor;
use midimon::workers::lane::Lane;
use midimon::workers::manager::{Driver, ManagerOptions, PluginManager, Policies};
use midimon_shared::PluginId;
use midimon_tests::Bed;
use midimon_tests::binaries::Binaries;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Who reads the workers' events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// The manager's own thread, as in the daemon.
    OwnThread,
    /// The thread that plays, in [`Rig::play_and_wait`] and [`Rig::run_once`].
    Player,
}

/// See the module. Dropping it stops the workers.
pub struct Rig {
    /// Before the manager: a feed that ends releases what it held.
    feed: Feed,
    manager: PluginManager,
    driver: Option<Driver>,
    monitor: Arc<Monitor>,
    /// Keeps the router's notices from failing.
    _notices: Receiver<Notice>,
    _bed: Bed,
}

/// What a rig is made of.
pub struct Plan<'p> {
    /// Ids of the built plugins it has.
    pub plugins: &'p [&'p str],
    /// Its configuration, without `schema`.
    pub config: &'p str,
    /// The user's word on plugins.
    pub policies: Policies,
}

impl Rig {
    /// Loads all plugins and waits until they are ready.
    pub fn new(reader: Reader, plan: &Plan<'_>) -> Result<Self> {
        let bed = Bed::new();
        for id in plan.plugins {
            bed.install(id);
        }
        let mut policies = plan.policies.clone();
        for id in plan.plugins {
            // a benchmark works them harder than they may for long
            policies.entry(id.parse()?).or_default().limits.cpu_percent = 0;
        }
        let mut rig = Self::unloaded(reader, bed, plan.config, policies)?;
        rig.served(PluginManager::sync);
        for id in plan.plugins {
            let id: PluginId = id.parse()?;
            rig.served(|manager| manager.wait_ready(&id))?;
        }
        Ok(rig)
    }

    /// With the plugins of the bed, none of them started.
    pub fn unloaded(reader: Reader, bed: Bed, config: &str, policies: Policies) -> Result<Self> {
        let monitor: Arc<Monitor> = Arc::default();
        let (manager, driver) = manager(reader, &bed, &monitor)?;
        manager.set_policies(Some(bed.plugin_dir()), policies);
        let text = format!("schema = 1\n{config}");
        let compiled = load_text("bench.toml", &text, &|_| true).map_err(|errors| errors.render(false))?.compiled;
        let note: NoteFn = Arc::new(|text| eprintln!("{text}"));
        // no sequencer: nothing here plays to one
        let outputs = Outputs::new(&Err(SeqError::Missing), Pace::USB, note.clone());
        let executor = Arc::new(Executor::new(outputs, KeyboardChoice::X11, note)?);
        let (sender, notices) = channel();
        let router = Arc::new(Router::new(executor, monitor.clone(), sender));
        router.configure(&manager, compiled).map_err(|(id, error)| format!("{id}: {error}"))?;
        let feed = Feed::new(DeviceTable::default().device("bench"), router);
        Ok(Self { feed, manager, driver, monitor, _notices: notices, _bed: bed })
    }

    /// The manager; with [`Reader::Player`], only for what needs no answer from its workers.
    pub fn manager(&self) -> &PluginManager {
        &self.manager
    }

    /// What happens from now on.
    pub fn watch(&self) -> mpsc::Receiver<midimon::monitor::MonitorEvent> {
        self.monitor.watch()
    }

    /// Asks the manager something while the workers' events are read.
    pub fn served<T>(&mut self, ask: impl FnOnce(&PluginManager) -> T) -> T {
        let Some(driver) = &mut self.driver else { return ask(&self.manager) };
        let done = AtomicBool::new(false);
        let manager = &self.manager;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let wait = Some(Duration::from_millis(1));
                while !done.load(Ordering::Acquire) {
                    if !driver.run_once(wait) {
                        break;
                    }
                }
            });
            let answer = ask(manager);
            done.store(true, Ordering::Release);
            answer
        })
    }

    /// The worker's process id.
    pub fn pid(&mut self, id: &str) -> Result<i32> {
        let workers = self.served(PluginManager::status);
        let worker = workers.iter().find(|worker| worker.id.as_str() == id);
        worker.and_then(|worker| worker.pid).ok_or_else(|| format!("{id} has no process").into())
    }

    /// The way to a plugin.
    pub fn lane(&self, id: &str) -> Result<Arc<Lane>> {
        Ok(self.manager.lane(&id.parse()?))
    }

    /// MIDI bytes come in; when.
    pub fn play(&mut self, bytes: &[u8]) -> Time {
        let at = now();
        self.feed.bytes(at, bytes);
        at
    }

    /// Handles what workers sent and what is due, waiting for it.
    pub fn run_once(&mut self) -> bool {
        match &mut self.driver {
            Some(driver) => driver.run_once(None),
            None => false,
        }
    }

    /// MIDI bytes come in, and the plugin's answer is counted; nanoseconds.
    pub fn play_and_wait(&mut self, bytes: &[u8], lane: &Lane) -> u64 {
        let started = now();
        self.feed.bytes(started, bytes);
        while self.run_once() && lane.is_busy() {}
        now().as_nanos() - started.as_nanos()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.manager.shutdown();
        while self.run_once() {}
    }
}

fn manager(reader: Reader, bed: &Bed, monitor: &Arc<Monitor>) -> Result<(PluginManager, Option<Driver>)> {
    let (compiled, state) = kept()?;
    let options = ManagerOptions {
        programs: Some(Binaries::get().programs.clone()),
        compiled: Some(compiled),
        state: Some(state),
        monitor: monitor.clone(),
        ..ManagerOptions::new(bed.plugin_dir(), bed.path("data"))
    };
    Ok(match reader {
        Reader::OwnThread => (PluginManager::new(options)?, None),
        Reader::Player => {
            let (manager, driver) = PluginManager::with_driver(options)?;
            (manager, Some(driver))
        }
    })
}

/// Where compiled code and its key are kept from rig to rig and from run to run.
pub fn kept() -> Result<(PathBuf, PathBuf)> {
    let directory = crate::target().join("bench");
    let (compiled, state) = (directory.join("compiled"), directory.join("state"));
    for directory in [&compiled, &state] {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    Ok((compiled, state))
}
