//! Controls OBS Studio through its WebSocket (obs-websocket 5, in OBS since version 28),
//! and tells mappings what happens there. Asks for `network` to the address the user names.
//!
//! `protocol`, `session`, `actions`, `events`, `retry` and `pulse` are pure; `client` and
//! `remote` speak over whatever connection they are given; only this file knows midimon.
#![deny(unsafe_code)]

pub mod actions;
pub mod client;
pub mod events;
pub mod protocol;
pub mod pulse;
pub mod remote;
pub mod retry;
pub mod session;

use midimon_plugin::{
    Connection, Context, Error, Host, Level, Metadata, Outcome, Params, Plugin, Refusal, Trigger, export_plugin,
};
use remote::{Account, Dial, Remote};
use serde::Deserialize;
use std::time::{Duration, Instant};

/// The timer, and how often it looks for what OBS has sent.
const TIMER: u32 = 1;
const EVERY: Duration = Duration::from_millis(100);
/// What the timer calls.
const LOOK: &str = "look";

#[derive(Deserialize)]
struct Settings {
    #[serde(default)]
    address: String,
    #[serde(default)]
    password: String,
}

/// Connections by midimon.
#[derive(Debug)]
struct Granted(Host, Instant);

impl Dial for Granted {
    type Link = Connection;

    fn dial(&mut self, address: &str, wait: Duration) -> Result<Connection, String> {
        self.0.connect(address, wait).map_err(|error| match error.kind() {
            Refusal::NotGranted => format!("it is not granted: `midimon plugin grant obs network:{address}`"),
            _ => error.to_string(),
        })
    }

    fn age(&self) -> Duration {
        self.1.elapsed()
    }
}

#[derive(Default)]
struct Obs {
    running: Option<(Host, Remote<Granted>)>,
    /// What the log was told last: a failure that goes on is one line.
    trouble: Option<String>,
}

impl Obs {
    /// Hands the events on.
    fn emit(host: Host, remote: &mut Remote<Granted>) {
        while let Some(emitted) = remote.take_emitted() {
            if let Err(error) = host.emit(emitted.event, &emitted.value) {
                host.log(Level::Warn, &format!("event {} is lost: {error}", emitted.event));
            }
        }
    }

    fn look(&mut self) -> Result<Outcome, Error> {
        let (host, remote) = self.running.as_mut().ok_or_else(not_started)?;
        match remote.tick() {
            Ok(()) if remote.is_connected() => self.trouble = None,
            Ok(()) => {}
            Err(error) => {
                let trouble = error.to_string();
                if self.trouble.as_ref() != Some(&trouble) {
                    host.log(Level::Warn, &trouble);
                    self.trouble = Some(trouble);
                }
            }
        }
        Self::emit(*host, remote);
        Ok(Outcome::ok())
    }
}

fn not_started() -> Error {
    Error::new("the plugin has not been started")
}

impl Plugin for Obs {
    fn describe() -> Metadata {
        Metadata { name: "OBS", version: env!("CARGO_PKG_VERSION"), description: "Controls OBS Studio" }
    }

    fn init(&mut self, host: Host, settings: &Params<'_>) -> Result<(), Error> {
        let Settings { address, password } = settings.parse()?;
        let account = Account { address: address.trim().to_owned(), password };
        // another address comes with another start
        if !account.address.is_empty() {
            host.every(TIMER, EVERY, LOOK, "{}")?;
        }
        self.running = Some((host, Remote::new(Granted(host, Instant::now()), account)));
        Ok(())
    }

    fn handle(&mut self, action: &str, params: &Params<'_>, context: &Context<'_>) -> Result<Outcome, Error> {
        if action == LOOK && context.trigger == Trigger::Timer {
            return self.look();
        }
        let act = actions::plan(action, params.json(), context.velocity)?;
        let (host, remote) = self.running.as_mut().ok_or_else(not_started)?;
        let done = remote.perform(&act);
        Self::emit(*host, remote);
        Ok(Outcome::answer(done?))
    }
}

export_plugin!(Obs);

#[cfg(test)]
#[path = "plugin_tests.rs"]
mod tests;
