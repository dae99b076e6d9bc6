//! Making instances: the first one, and fresh ones after a trap or for each call.

use super::bindings::midimon::plugin::types::{Context, Failure, Metadata};
use super::bindings::{MidimonPlugin, MidimonPluginIndices};
use super::state::{Phase, Plugin, State};
use crate::names::NameTable;
use crate::wasm::bounds::{Bounded, Bounds, budget, store};
use crate::wasm::deadline::Ticker;
use crate::wasm::halt::Halt;
use crate::wasm::meter::Meter;
use midimon_shared::limits::WorkerLimits;
use std::sync::Arc;
use std::time::Instant;
use wasmtime::component::{Func, InstancePre};
use wasmtime::{Engine, Error, Result, Store};

/// Bytes that a guest can hand over in one call of a function or in what it returns; a whole file or body comes in
/// pieces that are smaller. What it hands over is copied into memory that no limit of its own counts.
const MAX_HANDED: usize = 4 * 1024 * 1024;

/// Everything instances of one component have in common.
pub struct Factory {
    pub engine: Engine,
    pub ticker: Ticker,
    pub limits: WorkerLimits,
    pub data_dir: Option<String>,
    pub component: InstancePre<State>,
    /// Where in it the functions are.
    pub exports: MidimonPluginIndices,
    pub plugin: Arc<Plugin>,
}

/// An instance whose `start` went well.
pub struct Instance {
    pub store: Store<State>,
    pub exports: MidimonPlugin,
}

/// Why there is no instance.
#[derive(Debug)]
pub enum NotMade {
    /// The guest did not return.
    Halted(Halt),
    /// A function of it has other parameters or results.
    Interface(String),
    /// Its `start` said so.
    Failed(Failure),
}

impl Factory {
    /// A new instance that has said what it is and was started, and what it said.
    ///
    /// The caller holds the ticker's guard.
    ///
    /// # Errors
    /// A step did not return, met a limit, or failed by its own word.
    pub fn make(&self, deadline: Instant, names: &NameTable) -> Result<(Instance, Metadata), NotMade> {
        let bounds = Bounds { meter: Meter::for_component(&self.limits), deadline };
        let state = State::new(self.data_dir.as_deref(), bounds, self.plugin.clone(), names.clone())
            .map_err(|error| NotMade::Halted(Halt::no_data_dir(&error)))?;
        let mut store = store(&self.engine, state);
        store.set_hostcall_fuel(MAX_HANDED);
        match self.start(&mut store, deadline) {
            Ok(Ok((exports, metadata, Ok(())))) => Ok((Instance { store, exports }, metadata)),
            Ok(Ok((.., Err(failure)))) => Err(NotMade::Failed(failure)),
            Ok(Err(error)) => Err(NotMade::Interface(format!("{error:#}"))),
            Err(error) => Err(NotMade::Halted(Halt::new(&error, store.data_mut().bounds()))),
        }
    }

    /// The inner error is that it is no plugin.
    fn start(&self, store: &mut Store<State>, deadline: Instant) -> Result<Result<Started>> {
        budget(store, self.limits.fuel, deadline)?;
        let instance = self.component.instantiate(&mut *store)?;
        let exports = match self.exports.load(&mut *store, &instance) {
            Ok(exports) => exports,
            Err(error) => return Ok(Err(wrong_function(&mut *store, &instance).unwrap_or(error))),
        };
        let plugin = exports.midimon_plugin_plugin();
        let metadata = plugin.call_describe(&mut *store)?;
        store.data_mut().phase = Phase::Live;
        let started = plugin.call_start(&mut *store, &self.plugin.settings)?;
        Ok(Ok((exports, metadata, started)))
    }
}

/// The first function that takes or gives something else, and what.
fn wrong_function(store: &mut Store<State>, instance: &wasmtime::component::Instance) -> Option<Error> {
    let plugin = instance.get_export_index(&mut *store, None, "midimon:plugin/plugin@1.0.0")?;
    let check = |store: &mut Store<State>, name: &str, is_right: IsRight| {
        let index = instance.get_export_index(&mut *store, Some(&plugin), name)?;
        let function = instance.get_func(&mut *store, index)?;
        is_right(store, &function).err().map(|error| Error::msg(format!("its `{name}`: {error:#}")))
    };
    check(store, "describe", |store, function| function.typed::<(), (Metadata,)>(store).map(drop))
        .or_else(|| check(store, "start", |store, it| it.typed::<(&str,), (Result<(), Failure>,)>(store).map(drop)))
        .or_else(|| {
            check(store, "bind", |store, it| it.typed::<(u32, &str, &str), (Result<(), Failure>,)>(store).map(drop))
        })
        .or_else(|| check(store, "handle", |store, it| it.typed::<(u32, Context), (Handled,)>(store).map(drop)))
        .or_else(|| check(store, "stop", |store, function| function.typed::<(), ()>(store).map(drop)))
}

type IsRight = fn(&Store<State>, &Func) -> Result<()>;
type Handled = Result<Option<String>, Failure>;
type Started = (MidimonPlugin, Metadata, Result<(), Failure>);
