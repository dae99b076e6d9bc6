//! A loaded WASM plugin behind the serve loop.

use super::factory::Factory;
use super::instance::Instance;
use super::request::Template;
use crate::names::NameTable;
use crate::params::Params;
use crate::serve::Runtime;
use midimon_shared::context::TriggerStamp;
use midimon_shared::limits::InstanceMode;
use midimon_shared::protocol::{BindingId, Outcome};
use std::time::{Duration, Instant};

/// A module with the instance that serves its next call.
pub struct WasmPlugin {
    factory: Factory,
    /// None after a trap or a leak, and between calls when each gets its own.
    instance: Option<Instance>,
    request: Vec<u8>,
}

/// An action as its requests are made.
pub struct WasmBinding {
    template: Template,
    timeout: Duration,
}

impl WasmPlugin {
    /// With an instance that has never been called.
    pub(super) fn new(factory: Factory, instance: Instance) -> Self {
        Self { factory, instance: Some(instance), request: Vec::new() }
    }
}

impl Runtime for WasmPlugin {
    type Binding = WasmBinding;

    fn bind(&mut self, _id: BindingId, action: String, params: Params, timeout: Duration) -> WasmBinding {
        WasmBinding { template: Template::new(&action, &params), timeout }
    }

    fn call(&mut self, binding: &WasmBinding, stamp: &TriggerStamp, _names: &NameTable) -> Outcome {
        let Self { factory, instance: kept, request } = self;
        let deadline = Instant::now() + binding.timeout;
        binding.template.write(stamp, request);
        let running = factory.ticker.run();
        let instance = match kept.take() {
            Some(instance) => Ok(instance),
            None => factory.make(deadline, |_, _| ()).map(|(instance, ())| instance),
        };
        let result = instance.and_then(|mut instance| {
            let code = instance.call(request, factory.limits.fuel, deadline)?;
            if factory.limits.instance == InstanceMode::Persistent && !instance.has_leaked() {
                *kept = Some(instance);
            }
            Ok(code)
        });
        drop(running);
        match result {
            Ok(0) => Outcome::Ok,
            Ok(code) => Outcome::Failed { code, message: convention(code).to_owned() },
            Err(halt) => halt.into(),
        }
    }

    // The interface has no function for it; what the guest printed without a newline is still to come.
    fn shutdown(&mut self) {
        self.instance = None;
    }
}

/// What the interface's codes mean.
fn convention(code: i32) -> &'static str {
    match code {
        1 => "it could not read its request: bad memory or UTF-8",
        2 => "it could not parse its request",
        3 => "its action failed",
        _ => "",
    }
}
