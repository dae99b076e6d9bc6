//! What the Web API says of the player and the devices. Pure.

use crate::command::Cannot;
use serde::Deserialize;

/// Longest title that is shown, in characters.
const MAX_TITLE: usize = 120;

/// What is repeated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Repeat {
    /// Nothing.
    #[default]
    Off,
    /// The playlist or album.
    Context,
    /// The track.
    Track,
}

impl Repeat {
    /// As the Web API writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Context => "context",
            Self::Track => "track",
        }
    }

    /// Reads it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Off, Self::Context, Self::Track].into_iter().find(|mode| mode.as_str() == text)
    }

    /// What a press makes of it, as in Spotify itself.
    #[must_use]
    pub const fn next(self) -> Self {
        match self {
            Self::Off => Self::Context,
            Self::Context => Self::Track,
            Self::Track => Self::Off,
        }
    }
}

/// `GET /me/player`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Player {
    /// Whether it plays now.
    #[serde(default)]
    pub is_playing: bool,
    /// Whether it shuffles.
    #[serde(default)]
    pub shuffle_state: bool,
    /// What it repeats.
    #[serde(default)]
    pub repeat_state: Repeat,
    /// Where.
    pub device: Device,
    /// What; nothing between two, or in a private session.
    #[serde(default)]
    pub item: Option<Item>,
}

/// A device, or the one that plays.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Device {
    /// Its id; a device that cannot be controlled has none.
    #[serde(default)]
    pub id: Option<String>,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Its volume.
    #[serde(default)]
    pub volume_percent: Option<u8>,
    /// Whether the volume can be set.
    #[serde(default = "yes")]
    pub supports_volume: bool,
}

impl Device {
    /// Its volume in percent.
    ///
    /// # Errors
    /// It keeps it to itself.
    pub fn volume(&self) -> Result<u8, Cannot> {
        let volume = self.volume_percent.filter(|_| self.supports_volume);
        volume.map(|volume| volume.min(100)).ok_or_else(|| Cannot::NoVolume(shown(&self.name)))
    }
}

/// A track or an episode.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Item {
    /// `spotify:track:…`, `spotify:episode:…`, `spotify:local:…`.
    pub uri: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Whose it is.
    #[serde(default)]
    pub artists: Vec<Artist>,
}

/// Whoever made a track.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Artist {
    /// Their name.
    #[serde(default)]
    pub name: String,
}

impl Item {
    /// Its title, for people.
    #[must_use]
    pub fn title(&self) -> String {
        match self.artists.first() {
            Some(artist) => shown(&format!("{} – {}", artist.name, self.name)),
            None => shown(&self.name),
        }
    }
}

#[derive(Deserialize)]
struct Devices {
    devices: Vec<Device>,
}

/// The device that is called so, with its id, among those of `GET /me/player/devices`: by id,
/// else by name, whatever its case.
///
/// # Errors
/// There is none; with the names of those there are.
pub fn find_device(body: &[u8], wanted: &str) -> Result<(String, Device), String> {
    let devices = serde_json::from_slice::<Devices>(body);
    let devices = devices.map_err(|_| "Spotify's list of devices cannot be read".to_owned())?.devices;
    let usable = || devices.iter().filter_map(|device| Some((device.id.as_deref()?, device)));
    let by_id = usable().find(|(id, _)| *id == wanted);
    let found = by_id.or_else(|| usable().find(|(_, device)| device.name.to_lowercase() == wanted.to_lowercase()));
    found.map(|(id, device)| (id.to_owned(), device.clone())).ok_or_else(|| {
        let names: Vec<String> = usable().map(|(_, device)| format!("'{}'", shown(&device.name))).take(16).collect();
        let there = if names.is_empty() { "none: open Spotify on it".to_owned() } else { names.join(", ") };
        format!("Spotify sees no device '{}'; it sees {there}", shown(wanted))
    })
}

/// A stranger's text, short and on one line.
pub fn shown(text: &str) -> String {
    text.chars().take(MAX_TITLE).map(|character| if character.is_control() { ' ' } else { character }).collect()
}

const fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_found_by_its_id_or_its_name() {
        let body =
            br#"{"devices":[{"id":"b","name":"A"},{"id":"a","name":"Kitchen \u001b[2J"},{"id":null,"name":"tv"}]}"#;
        for (wanted, id) in [("a", "a"), ("A", "b"), ("KITCHEN \u{1b}[2j", "a")] {
            assert_eq!(find_device(body, wanted).unwrap().0, id);
        }
        let error = find_device(body, "TV").unwrap_err();
        assert_eq!(error, "Spotify sees no device 'TV'; it sees 'A', 'Kitchen  [2J'");
        assert!(find_device(br#"{"devices":[]}"#, "x").unwrap_err().ends_with("open Spotify on it"));
        assert!(find_device(b"<html>", "x").is_err());
    }

    #[test]
    fn a_player_is_read_with_what_is_missing() {
        let player: Player = serde_json::from_str(r#"{"device":{"id":null,"volume_percent":null}}"#).unwrap();
        assert_eq!((player.is_playing, player.repeat_state, &player.item), (false, Repeat::Off, &None));
        assert!(player.device.volume().is_err());
        let fixed = r#"{"device":{"name":"TV","volume_percent":40,"supports_volume":false},"item":null}"#;
        let player: Player = serde_json::from_str(fixed).unwrap();
        assert_eq!(player.device.volume(), Err(Cannot::NoVolume("TV".into())));
    }

    #[test]
    fn presses_go_round_through_what_can_be_repeated() {
        let round: Vec<Repeat> = [Repeat::Off, Repeat::Context, Repeat::Track].map(Repeat::next).to_vec();
        assert_eq!(round, [Repeat::Context, Repeat::Track, Repeat::Off]);
        assert_eq!(Repeat::parse("all"), None);
    }
}
