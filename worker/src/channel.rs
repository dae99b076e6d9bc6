//! A worker's side of the channel up to `Load`; from then on it belongs to [`crate::serve`].

use crate::sandbox::{code, descriptors::Descriptors};
use crate::stop::Stop;
use midimon_shared::pipe::{ReadEnd, ReceiveError, WriteEnd};
use midimon_shared::protocol::{CodeKind, Hello, Load, ProtocolRange};
use midimon_shared::sandbox::LayerReport;
use midimon_shared::{Command, Event, PluginId, WorkerExit};
use std::fs::File;
use std::os::fd::OwnedFd;

/// Both pipes and the request socket.
#[derive(Debug)]
pub struct Channel {
    /// From the supervisor.
    pub commands: ReadEnd<Command>,
    /// To the supervisor.
    pub events: WriteEnd<Event>,
    requests: OwnedFd,
}

impl Channel {
    /// Over these descriptors.
    #[must_use]
    pub fn new(descriptors: Descriptors) -> Self {
        let Descriptors { commands, events, requests } = descriptors;
        Self { commands: ReadEnd::new(commands), events: WriteEnd::new(events), requests }
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
        self.events.send(event).map_err(|error| Stop::new(WorkerExit::Events, error))
    }

    /// Waits for `Load` and the code that comes with it. `None` when the supervisor is gone or
    /// wants the worker to stop before it has begun.
    ///
    /// # Errors
    /// Another command, another plugin, or code that is not one sealed memfd.
    pub fn receive_load(&mut self, plugin: &PluginId, kind: CodeKind) -> Result<Option<(Load, File)>, Stop> {
        let load = match self.commands.receive() {
            Ok(Command::Load(load)) => load,
            Ok(Command::Shutdown) | Err(ReceiveError::Closed) => return Ok(None),
            Ok(_) => return Err(Stop::new(WorkerExit::Channel, "a command before Load")),
            Err(error) => return Err(Stop::new(WorkerExit::Channel, error)),
        };
        if load.plugin != *plugin || load.kind != kind {
            return Err(Stop::new(WorkerExit::Channel, "Load is for another plugin or another kind of worker"));
        }
        Ok(code::receive(&self.requests)?.map(|code| (load, code)))
    }
}
