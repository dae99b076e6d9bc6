//! What belongs to one instance of a component, and how it asks midimon.

use super::bindings::midimon::plugin::types;
use super::net::{HttpHooks, Net, http_context};
use crate::host::{Answered, HostClient};
use crate::names::NameTable;
use crate::wasm::bounds::{Bounded, Bounds};
use crate::wasm::deadline::DeadlinePassed;
use crate::wasm::wasi;
use midimon_shared::host::{HostCall, HostRefusal, MAX_WAIT_MS, RefusalKind};
use std::sync::Arc;
use std::time::Instant;
use tokio::runtime::Runtime;
use wasmtime::component::ResourceTable;
use wasmtime::{Error, Result};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView};

/// Most files, streams, connections and pollables of one instance at a time; more is a trap. Each takes memory of the
/// process that no limit of the guest's counts.
const MAX_RESOURCES: usize = 1024;

/// What all instances of a plugin have in common.
#[derive(Debug)]
pub struct Plugin {
    /// Its settings, a JSON object.
    pub settings: String,
    /// What asks midimon.
    pub client: Arc<HostClient>,
    /// What reaches others.
    pub net: Arc<Net>,
    /// What waits.
    pub runtime: &'static Runtime,
}

/// What a guest is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Saying what it is: it can log, and ask for nothing.
    Describe,
    /// Everything after that.
    Live,
}

/// The data of one store.
pub struct State {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: HttpHooks,
    table: ResourceTable,
    bounds: Bounds,
    /// Shared with the instances before and after it.
    pub plugin: Arc<Plugin>,
    /// As of the call under way.
    pub names: NameTable,
    /// What it may do now.
    pub phase: Phase,
}

impl State {
    /// For a fresh instance.
    ///
    /// # Errors
    /// The data directory cannot be opened.
    pub fn new(data_dir: Option<&str>, bounds: Bounds, plugin: Arc<Plugin>, names: NameTable) -> Result<Self> {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        let wasi = wasi::context(data_dir)?.build();
        let (http, hooks) = (http_context(), HttpHooks::new(plugin.net.clone()));
        Ok(Self { wasi, http, hooks, table, bounds, plugin, names, phase: Phase::Describe })
    }

    /// Asks midimon, and waits for the answer until the call's deadline.
    ///
    /// # Errors
    /// midimon's refusal; the guest's end when the deadline passed.
    pub fn ask(&self, call: HostCall) -> Result<Answered, Refused> {
        if self.phase == Phase::Describe {
            return Err(invalid("a plugin that says what it is can only log"));
        }
        let answer = self.plugin.client.ask_by(call, self.bounds.deadline);
        if Instant::now() >= self.bounds.deadline {
            return Err(Refused::Ended(DeadlinePassed.into()));
        }
        Ok(answer?)
    }

    /// The parts of `wasi:http`, whose requests end before `until`; with `None` there are none.
    pub fn http_parts(&mut self, until: Option<Instant>) -> WasiHttpCtxView<'_> {
        self.hooks.until = until;
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.http }
    }

    /// How long a request may wait: what the guest says, as long as the call has left at most.
    pub fn wait_ms(&self, wanted_ms: u32) -> u32 {
        let left = self.bounds.deadline.saturating_duration_since(Instant::now());
        wanted_ms.min(MAX_WAIT_MS).min(u32::try_from(left.as_millis()).unwrap_or(u32::MAX))
    }
}

impl Bounded for State {
    fn bounds(&mut self) -> &mut Bounds {
        &mut self.bounds
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

/// Why a function of midimon's did not do what it was asked.
#[derive(Debug)]
pub enum Refused {
    /// The guest is told so.
    Told(HostRefusal),
    /// The guest is ended by it.
    Ended(Error),
}

impl From<HostRefusal> for Refused {
    fn from(refusal: HostRefusal) -> Self {
        Self::Told(refusal)
    }
}

/// A request that makes no sense.
pub fn invalid(message: impl Into<String>) -> Refused {
    Refused::Told(HostRefusal { kind: RefusalKind::Invalid, message: message.into() })
}

/// midimon answered what was not asked.
pub fn out_of_turn() -> Refused {
    let message = "midimon answered something else".to_owned();
    Refused::Told(HostRefusal { kind: RefusalKind::Failed, message })
}

impl types::Host for State {
    fn convert_refusal(&mut self, refused: Refused) -> Result<types::Refusal> {
        let HostRefusal { kind, message } = match refused {
            Refused::Told(refusal) => refusal,
            Refused::Ended(error) => return Err(error),
        };
        Ok(match kind {
            RefusalKind::NotGranted => types::Refusal::NotGranted(message),
            RefusalKind::Invalid => types::Refusal::Invalid(message),
            RefusalKind::TooMany => types::Refusal::TooMany(message),
            RefusalKind::TimedOut => types::Refusal::TimedOut(message),
            RefusalKind::Failed => types::Refusal::Failed(message),
        })
    }
}
