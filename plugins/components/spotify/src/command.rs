//! What an action asks for, and the requests that do it. Pure.
//!
//! The Web API as of the changes of February 2026: developer.spotify.com/documentation/web-api.

use crate::player::{Player, Repeat};
use midimon_plugin::http::percent_encode;
use serde::Deserialize;
use serde_json::{Value, json};

/// Longest name or id of a device, in bytes.
const MAX_DEVICE: usize = 256;
/// Longest id of a playlist, in bytes; Spotify's have 22.
const MAX_ID: usize = 64;

/// What actions can be told.
#[derive(Debug, Default, Deserialize)]
pub struct Given {
    device: Option<String>,
    volume: Option<i64>,
    by: Option<i64>,
    on: Option<bool>,
    mode: Option<String>,
    playlist: Option<String>,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Command {
    Play,
    Pause,
    PlayPause,
    Next,
    Previous,
    /// In percent, 0 to 100.
    SetVolume(u8),
    /// By so many percent, -100 to 100.
    AdjustVolume(i8),
    /// As said, or the other way.
    Shuffle(Option<bool>),
    /// As said, or the next one.
    Repeat(Option<Repeat>),
    /// The playlist's URI.
    Playlist(String),
    Like,
}

/// What is wrong with an action, in words for whoever wrote the mapping.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Fault {
    #[error("there is no action '{0}'")]
    Unknown(String),
    #[error("'{name}' must be from {low} to {high}")]
    Range { name: &'static str, low: i64, high: i64 },
    #[error("'volume' is missing, and the trigger has no velocity or value to take its place")]
    NoVolume,
    #[error("'by' is missing: by how many percent, as -5 or 5")]
    NoStep,
    #[error("'mode' must be off, context or track")]
    Mode,
    #[error(
        "'playlist' must be a playlist's link (https://open.spotify.com/playlist/…), its URI (spotify:playlist:…) or its id"
    )]
    Playlist,
    #[error("'device' must be a device's name or id, of at most {MAX_DEVICE} bytes")]
    Device,
}

impl Command {
    /// Reads an action, with the velocity or value of its trigger, 0 to 127.
    ///
    /// # Errors
    /// See [`Fault`].
    pub fn of(action: &str, given: &Given, velocity: Option<u8>) -> Result<Self, Fault> {
        Ok(match action {
            "play" => Self::Play,
            "pause" => Self::Pause,
            "play_pause" => Self::PlayPause,
            "next_track" => Self::Next,
            "previous_track" => Self::Previous,
            "set_volume" => Self::SetVolume(match (given.volume, velocity) {
                (Some(volume), _) => within("volume", volume, 0, 100)?,
                (None, Some(velocity)) => percent(velocity),
                (None, None) => return Err(Fault::NoVolume),
            }),
            "adjust_volume" => Self::AdjustVolume(within("by", given.by.ok_or(Fault::NoStep)?, -100, 100)?),
            "toggle_shuffle" => Self::Shuffle(given.on),
            "cycle_repeat" => {
                let mode = given.mode.as_deref().map(|mode| Repeat::parse(mode).ok_or(Fault::Mode));
                Self::Repeat(mode.transpose()?)
            }
            "play_playlist" => {
                let playlist = given.playlist.as_deref().and_then(playlist_uri);
                Self::Playlist(playlist.ok_or(Fault::Playlist)?)
            }
            "like_current_track" => Self::Like,
            other => return Err(Fault::Unknown(other.chars().take(80).collect())),
        })
    }

    /// Whether it depends on what plays.
    #[must_use]
    pub const fn needs_player(&self) -> bool {
        matches!(self, Self::PlayPause | Self::AdjustVolume(_) | Self::Shuffle(None) | Self::Repeat(None) | Self::Like)
    }
}

/// The device an action names, or the one of the settings.
///
/// # Errors
/// It is too long.
pub fn device<'a>(given: &'a Given, setting: &'a str) -> Result<Option<&'a str>, Fault> {
    let device = given.device.as_deref().unwrap_or(setting).trim();
    match device.len() {
        0 => Ok(None),
        1..=MAX_DEVICE => Ok(Some(device)),
        _ => Err(Fault::Device),
    }
}

fn within<T: TryFrom<i64>>(name: &'static str, value: i64, low: i64, high: i64) -> Result<T, Fault> {
    let fault = Fault::Range { name, low, high };
    if (low..=high).contains(&value) { T::try_from(value).map_err(|_| fault) } else { Err(fault) }
}

/// 0 to 127 as 0 to 100, to the nearest.
fn percent(velocity: u8) -> u8 {
    let percent = (u32::from(velocity.min(127)) * 100 + 63) / 127;
    u8::try_from(percent).unwrap_or(100)
}

/// A volume turned by so much, from 0 to 100.
#[must_use]
pub fn adjusted(percent: u8, by: i8) -> u8 {
    percent.saturating_add_signed(by).min(100)
}

/// A playlist's URI, of what people copy.
fn playlist_uri(text: &str) -> Option<String> {
    let text = text.trim();
    let id = match text.strip_prefix("spotify:playlist:").or_else(|| text.strip_prefix("https://open.spotify.com/")) {
        // a link can have the language before and who shared it behind
        Some(rest) if text.starts_with("https") => rest.split('?').next()?.rsplit_once("playlist/")?.1,
        Some(id) => id,
        None => text,
    };
    let is_id = (1..=MAX_ID).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_id.then(|| format!("spotify:playlist:{id}"))
}

/// A request to the Web API.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Its method.
    pub method: &'static str,
    /// From `/me` on, with its query.
    pub path: String,
    /// Its body, where it has one.
    pub body: Option<Value>,
}

impl Request {
    /// What plays, where and how.
    #[must_use]
    pub fn player() -> Self {
        Self::new("GET", "/me/player", &[("additional_types", "track,episode")])
    }

    /// The devices there are.
    #[must_use]
    pub fn devices() -> Self {
        Self::new("GET", "/me/player/devices", &[])
    }

    fn new(method: &'static str, path: &str, query: &[(&str, &str)]) -> Self {
        let pairs: Vec<String> =
            query.iter().map(|(name, value)| format!("{name}={}", percent_encode(value))).collect();
        let query = if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) };
        Self { method, path: format!("{path}{query}"), body: None }
    }

    /// Whether sending it twice is as good as once: skipping is not.
    #[must_use]
    pub fn may_be_repeated(&self) -> bool {
        self.method != "POST"
    }
}

/// A command that cannot be carried out as things are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum Cannot {
    #[error("nothing plays, so there is nothing to save")]
    NothingPlays,
    #[error("'{0}' is a file of your own, which cannot be saved in the library")]
    LocalFile(String),
    #[error("the volume of {0} can only be changed on the device itself")]
    NoVolume(String),
    #[error(
        "no Spotify player is active: play something on one of your devices, or name one with the parameter or the \
         setting `device`"
    )]
    NoDevice,
}

/// The request that carries a command out, and what is then said. `player` is what plays,
/// where the command needs to know; `device` the id of the one that is meant.
///
/// # Errors
/// See [`Cannot`].
pub fn request(command: &Command, player: Option<&Player>, device: Option<&str>) -> Result<(Request, String), Cannot> {
    let to = |method, what: &str, extra: &[(&str, &str)]| {
        let query: Vec<(&str, &str)> = extra.iter().copied().chain(device.map(|id| ("device_id", id))).collect();
        Request::new(method, &format!("/me/player/{what}"), &query)
    };
    let active = || player.ok_or(Cannot::NoDevice);
    let plays = || (to("PUT", "play", &[]), "plays".to_owned());
    let pauses = || (to("PUT", "pause", &[]), "paused".to_owned());
    let volume =
        |percent: u8| (to("PUT", "volume", &[("volume_percent", &percent.to_string())]), format!("volume {percent} %"));
    Ok(match command {
        Command::Play => plays(),
        Command::Pause => pauses(),
        // with nothing active there is at least the device that was named
        Command::PlayPause if player.is_some_and(|player| player.is_playing) => pauses(),
        Command::PlayPause if player.is_none() && device.is_none() => return Err(Cannot::NoDevice),
        Command::PlayPause => plays(),
        Command::Next => (to("POST", "next", &[]), "next track".to_owned()),
        Command::Previous => (to("POST", "previous", &[]), "previous track".to_owned()),
        Command::SetVolume(percent) => volume(*percent),
        Command::AdjustVolume(by) => {
            let now = active()?.device.volume()?;
            volume(adjusted(now, *by))
        }
        Command::Shuffle(on) => {
            let on = match on {
                Some(on) => *on,
                None => !active()?.shuffle_state,
            };
            let words = if on { "shuffle on" } else { "shuffle off" };
            (to("PUT", "shuffle", &[("state", if on { "true" } else { "false" })]), words.to_owned())
        }
        Command::Repeat(mode) => {
            let mode = match mode {
                Some(mode) => *mode,
                None => active()?.repeat_state.next(),
            };
            (to("PUT", "repeat", &[("state", mode.as_str())]), format!("repeat {}", mode.as_str()))
        }
        Command::Playlist(uri) => {
            let request = Request { body: Some(json!({ "context_uri": uri })), ..to("PUT", "play", &[]) };
            (request, format!("plays {uri}"))
        }
        Command::Like => {
            let item = player.and_then(|player| player.item.as_ref()).ok_or(Cannot::NothingPlays)?;
            let title = item.title();
            if item.uri.starts_with("spotify:local:") {
                return Err(Cannot::LocalFile(title));
            }
            // "Save Items to Library", which took the place of PUT /me/tracks
            (Request::new("PUT", "/me/library", &[("uris", &item.uri)]), format!("saved {title}"))
        }
    })
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
