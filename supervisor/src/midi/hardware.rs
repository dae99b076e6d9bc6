//! Inputs of the ALSA sequencer through midir, kept connected as devices come and go.

use super::device::{DeviceTable, Feed, MidiSink};
use super::hotplug::{Hotplug, PortWatcher};
use super::select::{Plan, Selection, plan};
use super::seq::{CLIENT_NAME, Port};
use crate::clock::{Time, now};
use midir::{Ignore, MidiInput, MidiInputConnection};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// A port that could not be opened is tried again at the first change after this.
const RETRY: Duration = Duration::from_secs(5);

/// Hardware inputs; dropping it disconnects them.
pub struct Hardware {
    inner: Arc<Inner>,
    hotplug: Arc<Hotplug>,
}

struct Inner {
    devices: Arc<DeviceTable>,
    sink: Arc<dyn MidiSink>,
    hotplug: Weak<Hotplug>,
    /// One change at a time; never held by a thread that delivers messages.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    selection: Selection,
    open: Vec<Open>,
    problem: Option<String>,
    failed: Vec<(Port, Time)>,
    stopped: bool,
}

/// A connection; ends when dropped.
struct Open {
    port: Port,
    connection: Option<MidiInputConnection<Session>>,
    session: Weak<()>,
}

impl Open {
    fn is_alive(&self) -> bool {
        self.session.strong_count() > 0
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // midir passes on the panic of its own thread, if it had one
        let _ = catch_unwind(AssertUnwindSafe(|| drop(self.connection.take())));
    }
}

/// What midir's thread owns while it lives.
struct Session {
    feed: Feed,
    _alive: Arc<()>,
    hotplug: Weak<Hotplug>,
}

impl Drop for Session {
    fn drop(&mut self) {
        // midir's thread dies of an empty SysEx event: have the port opened again
        if std::thread::panicking()
            && let Some(hotplug) = self.hotplug.upgrade()
        {
            hotplug.rescan();
        }
    }
}

impl Hardware {
    /// Connects to the selected inputs and follows what is plugged in and out.
    pub fn start(
        hotplug: Arc<Hotplug>,
        selection: Selection,
        devices: Arc<DeviceTable>,
        sink: Arc<dyn MidiSink>,
    ) -> Self {
        let state = Mutex::new(State { selection, ..State::default() });
        let inner = Arc::new(Inner { devices, sink, hotplug: Arc::downgrade(&hotplug), state });
        let watcher: Arc<dyn PortWatcher> = inner.clone();
        hotplug.watch(Arc::downgrade(&watcher));
        Self { inner, hotplug }
    }

    /// Listens to other inputs from now on.
    pub fn select(&self, selection: Selection) {
        let mut state = self.inner.state();
        if state.selection != selection {
            state.selection = selection;
            state.failed.clear();
            drop(state);
            self.hotplug.rescan();
        }
    }

    /// Names of the inputs that are listened to.
    #[must_use]
    pub fn connected(&self) -> Vec<String> {
        self.inner.state().open.iter().map(|open| open.port.name.clone()).collect()
    }

    /// Why the selection is not met, for the user.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.inner.state().problem.clone()
    }
}

impl Drop for Hardware {
    fn drop(&mut self) {
        let mut state = self.inner.state();
        state.stopped = true;
        state.open.clear();
    }
}

impl PortWatcher for Inner {
    fn gone(&self, client: i32, port: i32) {
        self.state().open.retain(|open| (open.port.client, open.port.port) != (client, port));
    }

    fn settled(&self, ports: &[Port]) {
        let mut state = self.state();
        if state.stopped {
            return;
        }
        // a connection whose thread has died is none
        state.open.retain(Open::is_alive);
        let open: Vec<Port> = state.open.iter().map(|open| open.port.clone()).collect();
        let Plan { close, open: to_open, problem } = plan(&state.selection, ports, &open);
        for index in close.into_iter().rev() {
            state.open.remove(index);
        }
        let at = now();
        state.failed.retain(|(_, failed)| at.since(*failed) < RETRY);
        for port in to_open {
            if state.failed.iter().any(|(failed, _)| *failed == port) {
                continue;
            }
            match self.connect(&port) {
                Ok(open) => state.open.push(open),
                Err(reason) => {
                    self.sink.note(format!("cannot listen to \"{}\": {reason}", port.name));
                    state.failed.push((port, at));
                }
            }
        }
        if problem != state.problem {
            if let Some(problem) = &problem {
                self.sink.note(problem.clone());
            }
            state.problem = problem;
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connect(&self, port: &Port) -> Result<Open, String> {
        let alive = Arc::new(());
        let session = Arc::downgrade(&alive);
        let connect = || {
            let mut input = MidiInput::new(CLIENT_NAME).map_err(|error| error.to_string())?;
            input.ignore(Ignore::ActiveSense);
            let id = format!("{}:{}", port.client, port.port);
            let source = input.find_port_by_id(&id).ok_or("it is gone again")?;
            let feed = Feed::new(self.devices.device(&port.name), self.sink.clone());
            let session = Session { feed, _alive: alive, hotplug: self.hotplug.clone() };
            // midir's own time stamps start anew with every connection: read the clock here
            let deliver = |_, bytes: &[u8], session: &mut Session| session.feed.bytes(now(), bytes);
            input.connect(&source, "input", deliver, session).map_err(|error| error.to_string())
        };
        // midir panics when the kernel has no sequencer queue left
        let connection = catch_unwind(AssertUnwindSafe(connect))
            .unwrap_or_else(|_| Err("the kernel's sequencer queues are used up".to_owned()))?;
        Ok(Open { port: port.clone(), connection: Some(connection), session })
    }
}
