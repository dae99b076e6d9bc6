//! A worker's side of the channel up to `Load`; from then on it belongs to [`crate::serve`].

use crate::host::HostClient;
use crate::sandbox::{code, descriptors::Descriptors};
use crate::stop::Stop;
use midimon_shared::pipe::{ReadEnd, ReceiveError, WriteEnd};
use midimon_shared::protocol::{CodeKind, Hello, Load, ProtocolRange};
use midimon_shared::sandbox::LayerReport;
use midimon_shared::{Command, Event, PluginId, WorkerExit};
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

/// Both pipes and the request socket.
#[derive(Debug)]
pub struct Channel {
    /// From the supervisor.
    pub commands: ReadEnd<Command>,
    /// To the supervisor.
    pub events: Arc<Events>,
    requests: Arc<OwnedFd>,
}

/// The event pipe, for every thread of the process.
#[derive(Debug)]
pub struct Events {
    pipe: WriteEnd<Event>,
    /// A frame over `PIPE_BUF` is not written in one piece; another thread's must not come in between.
    turn: Mutex<()>,
}

impl Events {
    /// Sends an event, using `frame` as a buffer.
    ///
    /// # Errors
    /// The supervisor does not read, or the event is over the frame limit.
    pub fn send_with(&self, event: &Event, frame: &mut Vec<u8>) -> io::Result<()> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.pipe.send_with(event, frame)
    }
}

impl Channel {
    /// Over these descriptors.
    #[must_use]
    pub fn new(descriptors: Descriptors) -> Self {
        let Descriptors { commands, events, requests } = descriptors;
        let events = Events { pipe: WriteEnd::new(events), turn: Mutex::new(()) };
        Self { commands: ReadEnd::new(commands), events: Arc::new(events), requests: Arc::new(requests) }
    }

    /// What asks the supervisor for things, once the code has come over the same socket.
    #[must_use]
    pub fn host(&self) -> HostClient {
        HostClient::new(self.events.clone(), self.requests.clone())
    }

    /// Sends `Hello`: everything that had to be given up is given up.
    ///
    /// # Errors
    /// The supervisor does not read.
    pub fn hello(&self, layers: Vec<LayerReport>) -> Result<(), Stop> {
        let hello = Hello { protocol: ProtocolRange::OURS, version: env!("CARGO_PKG_VERSION").to_owned(), layers };
        self.send(&Event::Hello(hello))
    }

    /// Sends an event.
    ///
    /// # Errors
    /// The supervisor does not read.
    pub fn send(&self, event: &Event) -> Result<(), Stop> {
        self.events.send_with(event, &mut Vec::with_capacity(64)).map_err(|error| Stop::new(WorkerExit::Events, error))
    }

    /// Waits for `Load` and the code that comes with it. `None` when the supervisor is gone or
    /// wants the worker to stop before it has begun.
    ///
    /// # Errors
    /// Another command, another plugin, code of none of these kinds, or not one sealed memfd.
    pub fn receive_load(&mut self, plugin: &PluginId, kinds: &[CodeKind]) -> Result<Option<(Load, File)>, Stop> {
        let load = match self.commands.receive() {
            Ok(Command::Load(load)) => load,
            Ok(Command::Shutdown) | Err(ReceiveError::Closed) => return Ok(None),
            Ok(_) => return Err(Stop::new(WorkerExit::Channel, "a command before Load")),
            Err(error) => return Err(Stop::new(WorkerExit::Channel, error)),
        };
        if load.plugin != *plugin || !kinds.contains(&load.kind) {
            return Err(Stop::new(WorkerExit::Channel, "Load is for another plugin or another kind of worker"));
        }
        Ok(code::receive(&self.requests)?.map(|code| (load, code)))
    }
}
