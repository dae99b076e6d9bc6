//! What needs nobody outside the process: the log, the names, the settings.

use crate::log::{self, Level};
use crate::wasm::component::bindings::midimon::plugin;
use crate::wasm::component::state::{Phase, State};
use wasmtime::Result;

impl plugin::log::Host for State {
    fn write(&mut self, level: plugin::log::Level, message: String) -> Result<()> {
        let level = match level {
            plugin::log::Level::Error => Level::Error,
            plugin::log::Level::Warn => Level::Warn,
            plugin::log::Level::Info => Level::Info,
            plugin::log::Level::Debug => Level::Debug,
        };
        log::write(level, &message);
        Ok(())
    }
}

impl plugin::names::Host for State {
    fn mode(&mut self, index: u16) -> Result<Option<String>> {
        Ok(self.names.mode_at(index).map(str::to_owned))
    }

    fn device(&mut self, index: u16) -> Result<Option<String>> {
        Ok(self.names.device_at(index).map(str::to_owned))
    }
}

impl plugin::settings::Host for State {
    fn all(&mut self) -> Result<String> {
        Ok(match self.phase {
            // a description that depends on settings would not be the package's
            Phase::Describe => "{}".to_owned(),
            Phase::Live => self.plugin.settings.clone(),
        })
    }
}
