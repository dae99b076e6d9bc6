//! Sends Open Sound Control 1.0 by datagrams, and tells mappings what comes back. Asks for
//! `network` to the address the user names.
//!
//! `arguments` and `packet` are pure; only this file knows midimon.
#![deny(unsafe_code)]

pub mod arguments;
pub mod packet;

use midimon_plugin::{Context, Error, Host, Level, Metadata, Outcome, Params, Plugin, Refusal, Trigger, export_plugin};
use serde::Deserialize;
use std::time::Duration;
use template::{Values, plain};

/// Timers, what they call, and how often what came is looked at.
const LOOK_TIMER: u32 = 1;
const LOOK: &str = "look";
const LOOK_EVERY: Duration = Duration::from_millis(50);
const HELLO_TIMER: u32 = 2;
const HELLO: &str = "hello";
/// Datagrams taken in one look, so that a flood leaves time for calls.
const AT_ONCE: usize = 64;
/// Bounds of `hello_s`, in seconds.
const HELLO_S: std::ops::RangeInclusive<u32> = 1..=3600;

#[derive(Clone, Debug, Default, Deserialize)]
struct Settings {
    #[serde(default)]
    address: String,
    #[serde(default)]
    listen: bool,
    #[serde(default)]
    hello: String,
    hello_s: Option<u32>,
}

#[derive(Deserialize)]
struct Send {
    address: String,
    #[serde(default)]
    args: String,
}

#[derive(Debug, Default)]
struct Osc {
    running: Option<(Host, Settings)>,
    /// What the log was told last: a failure that goes on is one line.
    trouble: Option<String>,
}

impl Osc {
    fn running(&self) -> Result<(Host, &Settings), Error> {
        let (host, settings) = self.running.as_ref().ok_or_else(|| Error::new("the plugin has not been started"))?;
        if settings.address.is_empty() {
            return Err(Error::new(
                "it is not known where to send: `midimon plugin config set osc address udp:192.168.1.7:9000` and grant that address",
            ));
        }
        Ok((*host, settings))
    }

    fn send(&self, address: &str, arguments: &str) -> Result<(), Error> {
        let (host, settings) = self.running()?;
        host.datagram_send(&settings.address, &packet::write(address, arguments)?)?;
        Ok(())
    }

    /// What makes the other side talk, and opens the way back.
    fn hello(&self) -> Result<(), Error> {
        let (address, arguments) = match self.running()?.1.hello.split_once(' ') {
            Some((address, arguments)) => (address.to_owned(), arguments.to_owned()),
            None => (self.running()?.1.hello.clone(), String::new()),
        };
        self.send(&address, &arguments)
    }

    /// Hands on what came.
    fn look(&mut self) -> Result<(), Error> {
        let (host, settings) = self.running()?;
        let (mut arrived, mut nonsense) = (Vec::new(), 0);
        for _ in 0..AT_ONCE {
            match host.datagram_receive(&settings.address, Duration::ZERO) {
                Ok(bytes) => match packet::read(&bytes) {
                    Some(messages) => arrived.extend(messages),
                    None => nonsense += 1,
                },
                // nothing is there, or nothing was sent yet, or nobody listens there
                Err(error) if matches!(error.kind(), Refusal::TimedOut | Refusal::Invalid | Refusal::Failed) => break,
                Err(error) => return Err(error.into()),
            }
        }
        for message in packet::latest(arrived) {
            host.emit(&message.address, &message.value)?;
        }
        if nonsense > 0 {
            return Err(Error::new("datagrams came that are no OSC 1.0; they are left out"));
        }
        Ok(())
    }

    /// A timer's failure is for the log, and once.
    fn told(&mut self, done: Result<(), Error>) -> Outcome {
        match done {
            Ok(()) => self.trouble = None,
            Err(error) => {
                let trouble = error.message().to_owned();
                if self.trouble.as_ref() != Some(&trouble) {
                    if let Some((host, _)) = &self.running {
                        host.log(Level::Warn, &trouble);
                    }
                    self.trouble = Some(trouble);
                }
            }
        }
        Outcome::ok()
    }
}

impl Plugin for Osc {
    fn describe() -> Metadata {
        Metadata { name: "OSC", version: env!("CARGO_PKG_VERSION"), description: "Open Sound Control" }
    }

    fn init(&mut self, host: Host, settings: &Params<'_>) -> Result<(), Error> {
        let mut settings: Settings = settings.parse()?;
        settings.address = settings.address.trim().to_owned();
        let (listens, greets) = (settings.listen && !settings.address.is_empty(), !settings.hello.is_empty());
        let every = settings.hello_s.unwrap_or(9);
        if !HELLO_S.contains(&every) {
            return Err(Error::new("hello_s goes from 1 to 3600 seconds: `midimon plugin config set osc hello_s 9`"));
        }
        self.running = Some((host, settings));
        if listens {
            host.every(LOOK_TIMER, LOOK_EVERY, LOOK, "{}")?;
        }
        if listens && greets {
            let said = self.hello();
            self.told(said);
            host.every(HELLO_TIMER, Duration::from_secs(every.into()), HELLO, "{}")?;
        }
        Ok(())
    }

    fn handle(&mut self, action: &str, params: &Params<'_>, context: &Context<'_>) -> Result<Outcome, Error> {
        match (action, context.trigger) {
            (LOOK, Trigger::Timer) => {
                let looked = self.look();
                Ok(self.told(looked))
            }
            (HELLO, Trigger::Timer) => {
                let said = self.hello();
                Ok(self.told(said))
            }
            ("send", _) => {
                let Send { address, args } = params.parse()?;
                let values = Values::of(context);
                // inside a text a quotation mark must not end it
                let quoted = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"");
                let (address, args) = (values.fill(&address, plain)?, values.fill(&args, quoted)?);
                self.send(&address, &args)?;
                Ok(Outcome::answer(format!("{address} {args}").trim_end()))
            }
            _ => Err(Error::unknown_action(action)),
        }
    }
}

export_plugin!(Osc);

#[cfg(test)]
#[path = "plugin_tests.rs"]
mod tests;
