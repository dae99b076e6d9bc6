//! A loaded component behind the serve loop.

use super::bindings::midimon::plugin::types::{Context, Failure, Trigger};
use super::factory::{Factory, Instance, NotMade};
use crate::log::{self, Level, bounded};
use crate::names::NameTable;
use crate::params::Params;
use crate::serve::Runtime;
use crate::wasm::bounds::{Bounded, budget};
use crate::wasm::halt::Halt;
use midimon_shared::context::{TriggerKind, TriggerStamp};
use midimon_shared::limits::{InstanceMode, MAX_ANSWER};
use midimon_shared::protocol::{BindingId, Outcome, TrapCause};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// A component with the instance that serves its next call.
pub struct ComponentPlugin {
    factory: Factory,
    /// None after a trap, and between calls when each gets its own.
    instance: Option<Instance>,
    /// Instances there have been so far.
    instances: u64,
}

/// An action as instances are told it, once each.
pub struct ComponentBinding {
    number: u32,
    /// The last instance that was told, by its count; 0 is none.
    told: Cell<u64>,
    action: String,
    params: String,
    timeout: Duration,
}

impl ComponentPlugin {
    /// With an instance that has never been called.
    pub(super) fn new(factory: Factory, instance: Instance) -> Self {
        Self { factory, instance: Some(instance), instances: 1 }
    }

    /// One call, with `bind` before it where the instance was not told; what it spoils is not kept.
    fn handle(
        &mut self,
        binding: &ComponentBinding,
        stamp: &TriggerStamp,
        names: &NameTable,
        deadline: Instant,
    ) -> Result<Result<Option<String>, Failure>, NotMade> {
        let Self { factory, instance: kept, instances } = self;
        let _running = factory.ticker.run();
        let mut instance = match kept.take() {
            Some(instance) => instance,
            None => {
                *instances += 1;
                factory.make(deadline, names)?.0
            }
        };
        let Instance { store, exports } = &mut instance;
        let state = store.data_mut();
        if !state.names.is_copy_of(names) {
            state.names.clone_from(names);
        }
        let called = budget(store, factory.limits.fuel, deadline).and_then(|()| {
            let plugin = exports.midimon_plugin_plugin();
            let ComponentBinding { number, told, action, params, .. } = binding;
            if told.get() != *instances {
                if let Err(failure) = plugin.call_bind(&mut *store, *number, action, params)? {
                    return Ok(Err(failure));
                }
                told.set(*instances);
            }
            plugin.call_handle(&mut *store, *number, context(stamp))
        });
        match called {
            Ok(said) => {
                match factory.limits.instance {
                    InstanceMode::Persistent => *kept = Some(instance),
                    InstanceMode::PerCall => stop(factory, instance, deadline),
                }
                Ok(said)
            }
            Err(error) => Err(NotMade::Halted(Halt::new(&error, store.data_mut().bounds()))),
        }
    }
}

impl Runtime for ComponentPlugin {
    type Binding = ComponentBinding;

    fn bind(&mut self, id: BindingId, action: String, params: Params, timeout: Duration) -> ComponentBinding {
        // told within its first call, which has a deadline
        ComponentBinding { number: id.0, told: Cell::new(0), action, params: params.json, timeout }
    }

    fn call(&mut self, binding: &ComponentBinding, stamp: &TriggerStamp, names: &NameTable) -> Outcome {
        let deadline = Instant::now() + binding.timeout;
        match self.handle(binding, stamp, names, deadline) {
            Ok(Ok(None)) => Outcome::Ok,
            Ok(Ok(Some(answer))) => Outcome::Answer(cut(answer)),
            Ok(Err(failure)) | Err(NotMade::Failed(failure)) => {
                Outcome::Failed { code: code(&failure), message: cut(failure.message) }
            }
            Err(NotMade::Halted(halt)) => halt.into(),
            Err(NotMade::Interface(fault)) => Halt::because(TrapCause::Abi, fault).into(),
        }
    }

    fn shutdown(&mut self) {
        let Some(instance) = self.instance.take() else { return };
        let factory = &self.factory;
        let deadline = Instant::now() + Duration::from_millis(factory.limits.timeout_ms.into());
        let _running = factory.ticker.run();
        stop(factory, instance, deadline);
    }
}

/// Ends an instance by its `stop`. The caller holds the ticker's guard.
fn stop(factory: &Factory, instance: Instance, deadline: Instant) {
    let Instance { mut store, exports } = instance;
    let stopped = budget(&mut store, factory.limits.fuel, deadline)
        .and_then(|()| exports.midimon_plugin_plugin().call_stop(&mut store));
    if let Err(error) = stopped {
        let halt = Halt::new(&error, store.data_mut().bounds());
        log::write(Level::Error, &format!("its stop was stopped: {halt}"));
    }
}

/// A failure's code, which is never 0.
pub(super) fn code(failure: &Failure) -> i32 {
    if failure.code == 0 { 1 } else { failure.code }
}

fn cut(mut text: String) -> String {
    text.truncate(bounded(&text, MAX_ANSWER).len());
    text
}

fn context(stamp: &TriggerStamp) -> Context {
    let TriggerStamp { velocity, mode, device, unix_ms, monotonic_ns, kind, message } = *stamp;
    Context {
        trigger: match kind {
            TriggerKind::Manual => Trigger::Manual,
            TriggerKind::NotePress => Trigger::NotePress,
            TriggerKind::NoteRelease => Trigger::NoteRelease,
            TriggerKind::ControlChange => Trigger::ControlChange,
            TriggerKind::PitchBend => Trigger::PitchBend,
            TriggerKind::ChannelPressure => Trigger::ChannelPressure,
            TriggerKind::PolyPressure => Trigger::PolyPressure,
            TriggerKind::ProgramChange => Trigger::ProgramChange,
            TriggerKind::Timer => Trigger::Timer,
            TriggerKind::PluginEvent => Trigger::PluginEvent,
        },
        velocity,
        mode,
        device,
        message: message.map(|message| message.to_bytes().into()),
        timestamp_ms: unix_ms,
        monotonic_ns,
    }
}

#[cfg(test)]
mod tests {
    use super::Context;
    use wasmtime::component::ComponentType;

    #[test]
    fn all_that_a_call_carries_is_passed_without_memory() {
        // past 16 values all of them go through the guest's memory, which costs every call
        const MAX_FLAT_PARAMS: u8 = 16;
        let flat = <(u32, Context) as ComponentType>::ABI.flat_count;
        assert!(flat.is_some_and(|values| values <= MAX_FLAT_PARAMS), "{flat:?}");
    }
}
