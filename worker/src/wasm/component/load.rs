//! From compiled code to a plugin that is started.

use super::bindings::MidimonPluginIndices;
use super::factory::{Factory, NotMade};
use super::link::{LinkNetwork, linker};
use super::net::Net;
use super::plugin::{ComponentPlugin, code};
use super::state::Plugin;
use crate::host::HostClient;
use crate::log::bounded;
use crate::names::NameTable;
use crate::wasm::deadline::Ticker;
use crate::wasm::load::LoadError;
use midimon_shared::abi::{MAX_DESCRIPTION, MAX_NAME, MAX_VERSION};
use midimon_shared::limits::MAX_ANSWER;
use midimon_shared::protocol::{Load, Ready};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use wasmtime::Engine;
use wasmtime::component::Component;

/// A component that nothing has run of.
pub struct Opened {
    factory: Factory,
}

/// Loads the component and checks what it exports and imports.
///
/// # Errors
/// See [`LoadError`]: each says what is wrong with the component.
pub fn open(
    (engine, runtime): (Engine, &'static Runtime),
    load: Load,
    artifact: &File,
    client: HostClient,
    network: Option<LinkNetwork>,
) -> Result<Opened, LoadError> {
    let setup = |error: wasmtime::Error| LoadError::Setup(error.root_cause().to_string());
    let component = deserialize(&engine, artifact)?;
    let linker = linker(&component, network).map_err(setup)?;
    let component = linker.instantiate_pre(&component).map_err(|error| LoadError::World(format!("{error:#}")))?;
    let exports = MidimonPluginIndices::new(&component).map_err(|error| LoadError::Interface(format!("{error:#}")))?;
    let ticker = Ticker::start(engine.clone()).map_err(|error| LoadError::Setup(error.to_string()))?;
    let Load { limits, data_dir, settings, .. } = load;
    let settings = if settings.is_empty() { "{}".to_owned() } else { settings };
    let client = Arc::new(client);
    let plugin = Arc::new(Plugin { settings, net: Net::new(client.clone()), client, runtime });
    Ok(Opened { factory: Factory { engine, ticker, limits, data_dir, component, exports, plugin } })
}

impl Opened {
    /// Makes an instance, asks it what it is, and starts it.
    ///
    /// # Errors
    /// It met a limit, or failed by its own word.
    pub fn start(self) -> Result<(ComponentPlugin, Ready), LoadError> {
        let Self { factory } = self;
        let running = factory.ticker.run();
        let deadline = Instant::now() + Duration::from_millis(factory.limits.timeout_ms.into());
        let made = factory.make(deadline, &NameTable::default());
        drop(running);
        let (instance, metadata) = made.map_err(|error| match error {
            NotMade::Halted(halt) => LoadError::Halted(halt.to_string()),
            NotMade::Interface(fault) => LoadError::Interface(fault),
            NotMade::Failed(failure) => {
                LoadError::Failed { code: code(&failure), message: bounded(&failure.message, MAX_ANSWER).to_owned() }
            }
        })?;
        let ready = Ready {
            name: bounded(&metadata.name, MAX_NAME).to_owned(),
            version: bounded(&metadata.version, MAX_VERSION).to_owned(),
            description: bounded(&metadata.description, MAX_DESCRIPTION).to_owned(),
        };
        Ok((ComponentPlugin::new(factory, instance), ready))
    }
}

/// By its name in /proc, the only way the runtime takes a component's file. A copy of it would be private memory,
/// and so would the first contents of its memories.
#[allow(unsafe_code)]
fn deserialize(engine: &Engine, artifact: &File) -> Result<Component, LoadError> {
    let path = format!("/proc/self/fd/{}", artifact.as_raw_fd());
    // SAFETY: the bytes are sealed and came from the supervisor, which made them with `midimon-compile` or read them
    // from a cache that is its own and authenticated. The file is mapped and cannot change.
    let component = unsafe { Component::deserialize_file(engine, path) };
    component.map_err(|error| LoadError::Artifact(error.root_cause().to_string()))
}
