//! Controls Spotify through its Web API. Asks for `network` to Spotify's hosts and for
//! `filesystem`, to keep the login that Spotify renews.
//!
//! [`command`], [`player`], [`reply`], [`volume`] and, but for its file, [`session`] are pure;
//! only this file and [`client`] know midimon.
#![deny(unsafe_code)]

pub mod client;
pub mod command;
pub mod player;
pub mod reply;
pub mod session;
pub mod volume;

use client::{Client, Failure};
use command::{Command, Given, Request, adjusted, device, request};
use midimon_plugin::{Context, Error, Host, Level, Metadata, Outcome, Params, Plugin, Trigger, export_plugin};
use player::{Device, Player, find_device};
use serde::Deserialize;
use session::LoginSettings;
use std::time::{Duration, Instant};
use volume::{Turn, Volume};

/// What the timer calls.
const SETTLE: &str = "settle";
/// The timer.
const TIMER: u32 = 0;
/// How long a device's name is believed to lead to the same id.
const DEVICE_FOR: Duration = Duration::from_secs(600);

#[derive(Deserialize)]
struct Settings {
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    refresh_token: String,
    #[serde(default)]
    access_token: String,
    #[serde(default)]
    expires_at: u64,
    #[serde(default)]
    device: String,
    #[serde(default)]
    api_url: String,
    #[serde(default)]
    token_url: String,
}

struct Running {
    host: Host,
    client: Client,
    /// The device of the settings.
    device: String,
    /// The device that was named last, and its id.
    found: Option<(String, String, Instant)>,
    volume: Volume,
    started: Instant,
}

#[derive(Default)]
struct Spotify(Option<Running>);

impl Running {
    /// A device by its name or id, as it is now.
    fn device(&mut self, wanted: &str) -> Result<Device, Failure> {
        let devices = self.client.send(&Request::devices())?;
        let (id, device) = find_device(&devices, wanted).map_err(Failure::NoPlayer)?;
        self.found = Some((wanted.to_owned(), id, Instant::now()));
        Ok(device)
    }

    /// The id of a device by its name or id; asked for once in a while.
    fn device_id(&mut self, wanted: &str) -> Result<String, Failure> {
        let is_known = |(name, _, at): &(String, String, Instant)| name == wanted && at.elapsed() < DEVICE_FOR;
        if !self.found.as_ref().is_some_and(is_known) {
            self.device(wanted)?;
        }
        Ok(self.found.as_ref().map(|(_, id, _)| id.clone()).unwrap_or_default())
    }

    /// What plays; `None` where nothing does and no device is active.
    fn player(&mut self) -> Result<Option<Player>, Failure> {
        let body = self.client.send(&Request::player())?;
        if body.is_empty() {
            return Ok(None);
        }
        let player = serde_json::from_slice(&body);
        player.map(Some).map_err(|_| Failure::Other("what Spotify says of its player cannot be read".to_owned()))
    }

    /// Carries a command out; what is said about it.
    fn perform(&mut self, command: &Command, device: Option<&str>) -> Result<String, Failure> {
        let command = match command {
            Command::AdjustVolume(by) => match (self.volume.known(device, clock(self.started)), device) {
                (Some(known), _) => Command::SetVolume(adjusted(known, *by)),
                // its own volume, whichever one is active
                (None, Some(wanted)) => {
                    let was = self.device(wanted)?.volume().map_err(|cannot| Failure::Other(cannot.to_string()))?;
                    Command::SetVolume(adjusted(was, *by))
                }
                (None, None) => command.clone(),
            },
            other => other.clone(),
        };
        let id = match device.filter(|_| command != Command::Like) {
            Some(wanted) => Some(self.device_id(wanted)?),
            None => None,
        };
        if let Command::SetVolume(percent) = command {
            return self.turn(device, id.as_deref(), percent);
        }
        let player = if command.needs_player() { self.player()? } else { None };
        let (request, said) =
            request(&command, player.as_ref(), id.as_deref()).map_err(|cannot| Failure::Other(cannot.to_string()))?;
        self.client.send(&request)?;
        if let (Command::AdjustVolume(by), Some(Ok(was))) =
            (&command, player.as_ref().map(|player| player.device.volume()))
        {
            self.volume.done(device, adjusted(was, *by), clock(self.started));
        }
        Ok(said)
    }

    /// Sets the volume now, or soon where it was set just now.
    fn turn(&mut self, device: Option<&str>, id: Option<&str>, percent: u8) -> Result<String, Failure> {
        match self.volume.turn(device, percent, clock(self.started)) {
            Turn::Now => self.set_volume(device, id, percent),
            Turn::Waits => Ok(format!("volume {percent} % soon")),
            Turn::Later(ms) => {
                let timer = self.host.after(TIMER, Duration::from_millis(ms), SETTLE, "");
                if timer.is_err() {
                    // nobody will look: better too often than never
                    self.volume.due();
                    return self.set_volume(device, id, percent);
                }
                Ok(format!("volume {percent} % soon"))
            }
        }
    }

    fn set_volume(&mut self, device: Option<&str>, id: Option<&str>, percent: u8) -> Result<String, Failure> {
        let (request, said) =
            request(&Command::SetVolume(percent), None, id).map_err(|cannot| Failure::Other(cannot.to_string()))?;
        self.client.send(&request)?;
        self.volume.done(device, percent, clock(self.started));
        Ok(said)
    }

    /// The timer's turn: where the fader came to rest.
    fn settle(&mut self) -> Result<Outcome, Failure> {
        let Some((device, percent)) = self.volume.due() else { return Ok(Outcome::ok()) };
        let id = match device.as_deref() {
            Some(wanted) => Some(self.device_id(wanted)?),
            None => None,
        };
        self.set_volume(device.as_deref(), id.as_deref(), percent).map(Outcome::answer)
    }

    /// After a failure nothing is taken for granted.
    fn doubt(&mut self, failure: &Failure) {
        self.volume.forget();
        if matches!(failure, Failure::NoPlayer(_)) {
            self.found = None;
        }
    }
}

/// Milliseconds since then.
#[cfg(not(test))]
fn clock(started: Instant) -> u64 {
    u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
use tests::clock;

impl Plugin for Spotify {
    fn describe() -> Metadata {
        Metadata { name: "Spotify", version: env!("CARGO_PKG_VERSION"), description: "Controls what Spotify plays" }
    }

    fn init(&mut self, host: Host, settings: &Params<'_>) -> Result<(), Error> {
        let Settings { client_id, refresh_token, access_token, expires_at, device, api_url, token_url } =
            settings.parse()?;
        let login = LoginSettings { client_id, refresh_token, access_token, expires_at };
        let client = Client::new(host, login, &api_url, &token_url);
        let volume = Volume::default();
        self.0 = Some(Running { host, client, device, found: None, volume, started: Instant::now() });
        Ok(())
    }

    fn handle(&mut self, action: &str, params: &Params<'_>, context: &Context<'_>) -> Result<Outcome, Error> {
        let running = self.0.as_mut().ok_or_else(|| Error::new("the plugin has not been started"))?;
        running.client.begin();
        let done = if (action, context.trigger) == (SETTLE, Trigger::Timer) {
            let host = running.host;
            running.settle().inspect_err(|failure| {
                // nobody waits for a timer's answer
                let (Failure::NoPlayer(words) | Failure::Other(words)) = failure;
                host.log(Level::Warn, words);
            })
        } else {
            let given: Given = params.parse()?;
            let command = Command::of(action, &given, context.velocity)?;
            let setting = running.device.clone();
            let device = device(&given, &setting)?;
            running.perform(&command, device).map(Outcome::answer)
        };
        Ok(done.inspect_err(|failure| running.doubt(failure))?)
    }
}

export_plugin!(Spotify);

#[cfg(test)]
#[path = "plugin_tests.rs"]
mod tests;
