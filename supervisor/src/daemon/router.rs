//! The hot path: from a MIDI message to the workers' pipes and the executor,
//! all on the thread that received the message.

use super::sources::device_of;
use super::timers::TimerThread;
use crate::action::Executor;
use crate::clock::{self, Time};
use crate::mapping::compiled::Compiled;
use crate::mapping::engine::Engine;
use crate::mapping::types::{
    BindingIndex, DeviceIndex, EffectIndex, Input, MappingIndex, ModeIndex, Output, PluginBinding,
};
use crate::midi::{DeviceRef, MidiSink};
use crate::monitor::{Monitor, MonitorEvent};
use crate::workers::bindings::{BindError, BindSpec};
use crate::workers::lane::{NameTables, Ticket};
use crate::workers::manager::{PluginManager, Target};
use midimon_shared::context::TriggerStamp;
use midimon_shared::{ChannelMessage, PluginId, U7};
use std::cell::RefCell;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// System bytes shown to watchers of one message at most.
const SHOWN_BYTES: usize = 64;
/// Outputs of one message that need no allocation.
const OUTPUTS: usize = 64;

/// Something the daemon's own thread must look after.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Every plugin is ready, or known not to be.
    PluginsSettled,
    /// A replay or standard input has ended.
    InputFinished,
    /// Stop the daemon.
    Stop,
    /// Read the configuration again, and look through the plugin directory.
    Reload,
    /// The configuration file was saved.
    ConfigChanged,
    /// What is installed, allowed, set or revoked may have changed.
    StoreChanged,
}

/// See the module.
pub struct Router {
    core: Mutex<Core>,
    executor: Arc<Executor>,
    timers: TimerThread,
    monitor: Arc<Monitor>,
    notices: Sender<Notice>,
}

/// What must change together: the engine, and where its bindings' triggers go.
struct Core {
    engine: Engine,
    targets: Arc<[Target]>,
    /// Every source seen so far, at its index, and the configured device it is.
    sources: Vec<(Arc<str>, DeviceIndex)>,
    outputs: Vec<Output>,
    /// Channel messages that came in.
    messages: u64,
    /// Mappings that fired.
    hits: u64,
}

/// An output on its way out of the lock.
struct Due {
    mapping: MappingIndex,
    stamp: TriggerStamp,
    what: What,
}

enum What {
    /// Of the configuration's bindings, which, and in which order.
    Plugin(BindingIndex, Ticket),
    Effect(EffectIndex),
    Mode(ModeIndex),
}

/// What outputs refer to.
#[derive(Clone, Copy)]
struct Tables<'t> {
    compiled: &'t Compiled,
    /// Of the configuration in force from now on.
    modes: &'t [Arc<str>],
    /// Somebody watches.
    watched: bool,
}

/// What each thread keeps from step to step: room for what is due, and the targets it saw last, so that counting
/// their users takes no time until they change.
struct Leaving {
    due: Vec<Due>,
    targets: Arc<[Target]>,
}

thread_local! {
    static LEAVING: RefCell<Leaving> =
        RefCell::new(Leaving { due: Vec::with_capacity(OUTPUTS), targets: Arc::default() });
}

impl Router {
    /// A router without mappings; the configuration comes by [`Self::swap`].
    #[must_use]
    pub fn new(executor: Arc<Executor>, monitor: Arc<Monitor>, notices: Sender<Notice>) -> Self {
        let core = Core {
            engine: Engine::new(Arc::new(Compiled::default())),
            targets: Arc::default(),
            sources: Vec::new(),
            outputs: Vec::with_capacity(OUTPUTS),
            messages: 0,
            hits: 0,
        };
        Self { core: Mutex::new(core), executor, timers: TimerThread::default(), monitor, notices }
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Steps the engine and carries out what it decides. The engine's lock is
    /// held for the step and the tickets that keep each worker's order, not for I/O.
    pub fn step(&self, now: Time, input: Input) {
        self.step_core(now, |_| Some(input));
    }

    /// [`Self::step`] for what a device sent.
    fn step_from(&self, device: &DeviceRef, now: Time, input: impl FnOnce(DeviceIndex, DeviceIndex) -> Input) {
        self.step_core(now, |core| {
            core.messages += 1;
            let configured = core.sources.get(usize::from(device.index)).map_or(0, |(_, configured)| *configured);
            Some(input(device.index, configured))
        });
    }

    /// Without an input nothing is stepped.
    fn step_core(&self, now: Time, input: impl FnOnce(&mut Core) -> Option<Input>) {
        LEAVING.with_borrow_mut(|Leaving { due, targets: seen }| {
            let mut core = self.core();
            let Some(input) = input(&mut core) else { return };
            let Core { engine, targets, outputs, hits, .. } = &mut *core;
            engine.step(now, input, outputs);
            *hits += collect(outputs, targets, due);
            // under the lock, so that a later step's timer cannot be overwritten by an earlier one's
            self.timers.set(engine.next_timer());
            if due.is_empty() {
                return;
            }
            // triggers for plugins need nothing of it while nobody watches
            let watched = self.monitor.is_watched();
            let needed = watched || due.iter().any(|due| !matches!(due.what, What::Plugin(..)));
            let compiled = needed.then(|| engine.compiled().clone());
            if !Arc::ptr_eq(seen, targets) {
                *seen = targets.clone();
            }
            drop(core);
            let tables = compiled.as_deref().map(|compiled| Tables { compiled, modes: &compiled.modes, watched });
            self.carry_out(now, seen, tables, due);
        });
    }

    /// Takes another configuration between two messages; what it no longer has is released.
    pub fn swap(&self, now: Time, compiled: Arc<Compiled>, new_targets: Arc<[Target]>) {
        let mut due = Vec::new();
        let mut core = self.core();
        let Core { engine, targets, sources, outputs, hits, .. } = &mut *core;
        for (name, device) in sources {
            *device = device_of(name, &compiled);
        }
        // releases of what is gone still mean the old tables
        let old = engine.swap(now, compiled, outputs);
        *hits += collect(outputs, targets, &mut due);
        let targets = std::mem::replace(targets, new_targets);
        self.timers.set(engine.next_timer());
        let new = engine.compiled().clone();
        drop(core);
        // a change of mode means the new tables
        let tables = Tables { compiled: &old, modes: &new.modes, watched: self.monitor.is_watched() };
        self.carry_out(now, &targets, Some(tables), &mut due);
    }

    /// Puts a configuration in force. Workers learn new bindings before the swap and
    /// keep the old ones beyond it, so no trigger meets a wrong one.
    ///
    /// # Errors
    /// A plugin's bindings are too many or too large, with its id; the configuration
    /// before stays in force.
    pub fn configure(&self, manager: &PluginManager, compiled: Compiled) -> Result<(), (PluginId, BindError)> {
        let names = NameTables {
            modes: compiled.modes.clone(),
            devices: compiled.devices.iter().map(|device| device.alias.clone()).collect(),
        };
        let bindings: Vec<(PluginId, BindSpec)> = compiled.bindings.iter().map(bind_spec).collect();
        let targets = manager.configure(&bindings)?;
        self.executor.prepare(&compiled.effects);
        self.swap(clock::now(), Arc::new(compiled), targets.into());
        // releases of what is gone were told with the indices of before
        manager.set_names(&names);
        Ok(())
    }

    /// Without tables only triggers for plugins can be carried out, which nobody watches then.
    fn carry_out(&self, now: Time, targets: &[Target], tables: Option<Tables<'_>>, due: &mut Vec<Due>) {
        for Due { mapping, stamp, what } in due.drain(..) {
            match what {
                What::Plugin(binding, ticket) => {
                    let Target { lane, route } = &targets[binding as usize]; // cannot fail: it gave the ticket
                    lane.trigger(ticket, *route, stamp, now);
                    self.hit(now, tables, mapping);
                }
                What::Effect(effect) => {
                    self.hit(now, tables, mapping);
                    if let Some(effect) = tables.and_then(|tables| tables.compiled.effects.get(effect as usize)) {
                        self.executor.submit(effect, &stamp);
                    }
                }
                What::Mode(mode) => {
                    let mode = tables.and_then(|tables| tables.modes.get(usize::from(mode)).cloned());
                    let mode = mode.unwrap_or_default();
                    tracing::info!("mode: {mode}");
                    self.monitor.publish(MonitorEvent::Mode { at: now, mode });
                }
            }
        }
    }

    fn hit(&self, now: Time, tables: Option<Tables<'_>>, mapping: MappingIndex) {
        let Some(tables) = tables.filter(|tables| tables.watched) else { return };
        if let Some(info) = tables.compiled.mappings.get(mapping as usize) {
            let (mapping, action) = (info.label.clone(), info.action_label.clone());
            self.monitor.publish(MonitorEvent::Hit { at: now, mapping, action });
        }
    }

    /// Takes an event that a plugin emitted; one that no mapping waits for reaches only those who watch.
    pub fn plugin_event(&self, now: Time, plugin: &PluginId, event: &str, value: &str) {
        if self.monitor.is_watched() {
            let (plugin, name, value) = (plugin.clone(), event.into(), value.into());
            self.monitor.publish(MonitorEvent::PluginEvent { at: now, plugin, name, value });
        }
        let (velocity, unix_ms) = (number(value), clock::unix_ms_at(now));
        self.step_core(now, |core| {
            let event = core.engine.compiled().events.find(plugin, event, value)?;
            Some(Input::PluginEvent { event, velocity, unix_ms })
        });
    }

    /// Makes the mode of this name the active one.
    ///
    /// # Errors
    /// There is none; the names of those there are.
    pub fn set_mode(&self, now: Time, name: &str) -> Result<(), Vec<Arc<str>>> {
        let (_, compiled) = self.mode();
        let mode = compiled.mode_index(name).ok_or_else(|| compiled.modes.clone())?;
        self.step(now, Input::SetMode(mode));
        Ok(())
    }

    /// Remembers a source under its index, and which configured device it is.
    fn add_source(&self, device: &DeviceRef) {
        let mut core = self.core();
        let configured = device_of(&device.name, core.engine.compiled());
        let index = usize::from(device.index);
        if core.sources.len() <= index {
            core.sources.resize(index + 1, (Arc::from(""), 0));
        }
        core.sources[index] = (device.name.clone(), configured);
    }

    /// Starts the thread that steps the engine when a delay is over.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start_timers(router: &Arc<Self>) -> std::io::Result<JoinHandle<()>> {
        let weak = Arc::downgrade(router);
        router.timers.start(move |now| {
            if let Some(router) = weak.upgrade() {
                router.step(now, Input::Timer);
            }
        })
    }

    /// Ends that thread.
    pub fn stop_timers(&self) {
        self.timers.stop();
    }

    /// Whether no delayed step waits.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.core().engine.next_timer().is_none()
    }

    /// The mode in force and the configuration it is of.
    #[must_use]
    pub fn mode(&self) -> (ModeIndex, Arc<Compiled>) {
        let core = self.core();
        (core.engine.mode(), core.engine.compiled().clone())
    }

    /// Messages that came in, mappings that fired, and those that did not since
    /// too many delays were waiting.
    #[must_use]
    pub fn counts(&self) -> (u64, u64, u64) {
        let core = self.core();
        (core.messages, core.hits, core.engine.dropped_delays())
    }
}

/// What an event says, where it is a number that MIDI knows.
fn number(value: &str) -> Option<U7> {
    value.trim().parse().ok().and_then(U7::new)
}

fn bind_spec(binding: &PluginBinding) -> (PluginId, BindSpec) {
    let spec = BindSpec {
        action: binding.action.clone(),
        params: binding.params.clone(),
        timeout: binding.timeout,
        paired: binding.paired,
    };
    (binding.plugin.clone(), spec)
}

/// Takes the outputs out of the lock: whom they go to, in which order. Says how many mappings fired.
fn collect(outputs: &mut Vec<Output>, targets: &[Target], due: &mut Vec<Due>) -> u64 {
    let mut hits = 0;
    for output in outputs.drain(..) {
        match output {
            Output::Plugin { mapping, binding, stamp } => {
                if let Some(target) = targets.get(binding as usize) {
                    let ticket = target.lane.ticket();
                    hits += 1;
                    due.push(Due { mapping, stamp, what: What::Plugin(binding, ticket) });
                }
            }
            Output::Effect { mapping, effect, stamp } => {
                hits += 1;
                due.push(Due { mapping, stamp, what: What::Effect(effect) });
            }
            Output::ModeChanged(mode) => {
                due.push(Due { mapping: 0, stamp: TriggerStamp::default(), what: What::Mode(mode) });
            }
        }
    }
    hits
}

impl MidiSink for Router {
    fn message(&self, device: &DeviceRef, at: Time, message: ChannelMessage) {
        if self.monitor.is_watched() {
            self.monitor.publish(MonitorEvent::Midi { at, device: device.name.clone(), message });
        }
        let unix_ms = clock::unix_ms_at(at);
        self.step_from(device, at, |source, device| Input::Message { source, device, message, unix_ms });
    }

    fn system(&self, device: &DeviceRef, at: Time, bytes: &[u8]) {
        if self.monitor.is_watched() {
            let shown = bytes[..bytes.len().min(SHOWN_BYTES)].to_vec();
            let (device, total) = (device.name.clone(), bytes.len());
            self.monitor.publish(MonitorEvent::System { at, device, bytes: shown, total });
        }
    }

    fn connected(&self, device: &DeviceRef) {
        tracing::info!("input connected: {}", device.name);
        self.add_source(device);
        let at = clock::now();
        self.monitor.publish(MonitorEvent::Device { at, device: device.name.clone(), connected: true });
    }

    fn disconnected(&self, device: &DeviceRef) {
        tracing::info!("input gone: {}", device.name);
        let at = clock::now();
        self.step(at, Input::SourceGone(device.index));
        self.monitor.publish(MonitorEvent::Device { at, device: device.name.clone(), connected: false });
    }

    fn finished(&self, device: &DeviceRef) {
        tracing::info!("input finished: {}", device.name);
        let _ = self.notices.send(Notice::InputFinished); // nobody listens only while stopping
    }

    fn note(&self, text: String) {
        note(&self.monitor, text);
    }
}

/// A line for the user, from wherever it comes.
pub fn note(monitor: &Monitor, text: String) {
    tracing::warn!("{text}");
    monitor.publish(MonitorEvent::Note { at: clock::now(), text });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::KeyboardChoice;
    use crate::mapping::config::load_text;
    use crate::midi::output::{Outputs, Pace};
    use crate::midi::seq::SeqError;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    const SLOW: &str = r#"type = "Sequence", actions = [{ type = "Delay", ms = 50 }, { type = "Log", text = "late" }]"#;

    fn router() -> Router {
        let config = format!(
            "schema = 1\n[[global_mappings]]\ntrigger = {{ type = \"Plugin\", plugin = \"obs\", event = \"scene\" }}\naction = {{ {SLOW} }}\n"
        );
        let executor = Executor::new(
            Outputs::new(&Err(SeqError::Missing), Pace::USB, Arc::new(drop)),
            KeyboardChoice::X11,
            Arc::new(drop),
        )
        .unwrap();
        let router = Router::new(Arc::new(executor), Arc::default(), channel().0);
        router.swap(Time::default(), Arc::new(load_text("test", &config, &|_| true).unwrap().compiled), Arc::default());
        router
    }

    #[test]
    fn an_event_that_no_mapping_waits_for_does_not_step_the_engine() {
        let (router, obs) = (router(), "obs".parse().unwrap());
        let start = Time::default();
        router.plugin_event(start, &obs, "scene", "Live");
        assert!(!router.is_idle(), "the delay waits");
        let late = start + Duration::from_millis(60);
        router.plugin_event(late, &obs, "another", "");
        router.plugin_event(late, &"osc".parse().unwrap(), "scene", "Live");
        assert_eq!((router.is_idle(), router.counts().1), (false, 0), "no step was made");
        // one that is waited for steps it, and so does the delay's own timer
        router.plugin_event(late, &obs, "scene", "Live");
        assert_eq!(router.counts().1, 1, "what was due is done");
        router.step(late + Duration::from_millis(60), Input::Timer);
        assert_eq!(router.counts().1, 2);
        assert!(router.is_idle());
    }
}
