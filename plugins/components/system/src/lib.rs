//! Volume, brightness, media keys, notifications, lock, screenshots and the clipboard,
//! through whatever programs the desktop has. Asks for `subprocess` to each of them.
//!
//! `deed`, `programs` and `pace` are pure, `doing` runs what it is given; only this file
//! knows midimon.
#![deny(unsafe_code)]

pub mod deed;
pub mod doing;
pub mod pace;
pub mod programs;

use deed::{Deed, Fader, Media, change, screenshot, sound, switch, text, urgency};
use doing::{Doer, Ran, Runner, Undone};
use midimon_plugin::{Context, Error, Host, Level, Metadata, Outcome, Params, Plugin, Refusal, Trigger, export_plugin};
use pace::{Pace, Paces};
use programs::Command;
use serde::Deserialize;
use std::time::Duration;
use template::{Values, plain};

/// How long a program may take.
const PROGRAM: Duration = Duration::from_secs(3);
/// What the faders' timers call.
const SETTLE: &str = "settle";
/// Longest clipboard that makes an event, in bytes: what midimon takes.
const MAX_EVENT: usize = 1024;

#[derive(Debug, Default, Deserialize)]
struct Settings {
    #[serde(default)]
    screenshots: String,
}

/// Every parameter there is; the manifest says which action has which.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Given {
    percent: Option<i64>,
    by: Option<i64>,
    of: Option<String>,
    state: Option<String>,
    player: Option<String>,
    title: String,
    body: String,
    urgency: Option<String>,
    text: String,
    fader: usize,
}

/// Programs by midimon.
struct Granted(Host);

impl Runner for Granted {
    fn run(&mut self, command: &Command) -> Ran {
        let arguments: Vec<&str> = command.arguments.iter().map(String::as_str).collect();
        let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match self.0.run(command.program, &arguments, PROGRAM) {
            Ok(ran) if ran.code == 0 => Ran::Well(words(&ran.stdout)),
            Ok(ran) => Ran::Badly(ran.code, words(&ran.stderr)),
            Err(error) => match error.kind() {
                Refusal::TooMany => Ran::Later,
                Refusal::NotGranted => {
                    Ran::Not(format!("not granted (`midimon plugin grant system subprocess:{}`)", command.program))
                }
                _ => Ran::Not(error.to_string()),
            },
        }
    }
}

#[derive(Default)]
struct System {
    host: Option<Host>,
    settings: Settings,
    doer: Doer,
    paces: Paces,
}

impl System {
    fn host(&self) -> Result<Host, Error> {
        self.host.ok_or_else(|| Error::new("the plugin has not been started"))
    }

    fn deed(&self, action: &str, given: Given, context: &Context<'_>) -> Result<Deed, Error> {
        let values = Values::of(context);
        let how_much = || change(given.percent, given.by, context.velocity);
        let of = || sound(given.of.as_deref());
        let media = |media| Deed::Media(media, given.player.clone());
        Ok(match action {
            "volume" => Deed::Volume(of()?, how_much()?),
            "mute" => Deed::Mute(of()?, switch(given.state.as_deref())?),
            "brightness" => Deed::Brightness(how_much()?),
            "play_pause" => media(Media::PlayPause),
            "play" => media(Media::Play),
            "pause" => media(Media::Pause),
            "stop" => media(Media::Stop),
            "next" => media(Media::Next),
            "previous" => media(Media::Previous),
            "notify" => Deed::Notify {
                title: text(values.fill(&given.title, plain)?)?,
                body: values.fill(&given.body, plain)?,
                urgency: urgency(given.urgency.as_deref())?,
            },
            "lock" => Deed::Lock,
            "screenshot" => screenshot(&self.settings.screenshots, context.timestamp_ms)?,
            "copy" => Deed::Copy(text(values.fill(&given.text, plain)?)?),
            "paste" => Deed::Paste,
            _ => return Err(Error::unknown_action(action)),
        })
    }

    /// A deed that comes now, or waits its turn.
    fn take(&mut self, deed: Deed, now_ms: u64) -> Result<Outcome, Error> {
        let host = self.host()?;
        match self.paces.offer(deed, now_ms) {
            Pace::Now(deed) => self.perform(host, &deed),
            Pace::Later(fader, ms) => {
                Self::look_after(host, fader, ms)?;
                Ok(Outcome::answer("soon"))
            }
            Pace::Waits => Ok(Outcome::answer("soon")),
        }
    }

    fn look_after(host: Host, fader: Fader, ms: u64) -> Result<(), Error> {
        let number = fader as usize;
        // below 10 ms there are no timers
        let wait = Duration::from_millis(ms.max(10));
        host.after(number as u32 + 1, wait, SETTLE, &format!(r#"{{"fader":{number}}}"#))?;
        Ok(())
    }

    fn perform(&mut self, host: Host, deed: &Deed) -> Result<Outcome, Error> {
        let written = match self.doer.perform(deed, &mut Granted(host)) {
            Ok(written) => written,
            Err(Undone::Later) => {
                let Some(fader) = deed.follows() else { return Err(Undone::Later.into()) };
                if let Pace::Later(fader, ms) = self.paces.put_back(fader, deed.clone()) {
                    Self::look_after(host, fader, ms)?;
                }
                return Ok(Outcome::answer("soon"));
            }
            // midimon can show one itself
            Err(undone) => match deed {
                Deed::Notify { title, body, .. } => {
                    host.notify(&title[..title.floor_char_boundary(80)], &body[..body.floor_char_boundary(1024)])?;
                    return Ok(Outcome::answer("shown by midimon"));
                }
                _ => return Err(undone.into()),
            },
        };
        match deed {
            Deed::Paste => {
                let text = &written[..written.floor_char_boundary(MAX_EVENT)];
                host.emit("clipboard", text)?;
                Ok(Outcome::answer(text))
            }
            Deed::Screenshot(path) => {
                host.emit("screenshot", &path[..path.floor_char_boundary(MAX_EVENT)])?;
                Ok(Outcome::answer(path))
            }
            _ => Ok(Outcome::answer(written.trim_end())),
        }
    }

    /// A fader's timer.
    fn settle(&mut self, number: usize, now_ms: u64) -> Result<Outcome, Error> {
        let host = self.host()?;
        let fader = *Fader::ALL.get(number).ok_or_else(|| Error::new("there is no such fader"))?;
        let Some(deed) = self.paces.due(fader, now_ms) else { return Ok(Outcome::ok()) };
        let done = self.perform(host, &deed);
        if let Err(error) = &done {
            host.log(Level::Warn, error.message());
        }
        done
    }
}

impl Plugin for System {
    fn describe() -> Metadata {
        Metadata { name: "System", version: env!("CARGO_PKG_VERSION"), description: "Volume, media, screen, clipboard" }
    }

    fn init(&mut self, host: Host, settings: &Params<'_>) -> Result<(), Error> {
        self.settings = settings.parse()?;
        self.host = Some(host);
        Ok(())
    }

    fn handle(&mut self, action: &str, params: &Params<'_>, context: &Context<'_>) -> Result<Outcome, Error> {
        let given: Given = params.parse()?;
        let now_ms = context.monotonic_ns / 1_000_000;
        if action == SETTLE && context.trigger == Trigger::Timer {
            return self.settle(given.fader, now_ms);
        }
        let deed = self.deed(action, given, context)?;
        self.take(deed, now_ms)
    }
}

export_plugin!(System);

#[cfg(test)]
#[path = "plugin_tests.rs"]
mod tests;
