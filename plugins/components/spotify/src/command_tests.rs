use super::*;
use crate::player::{Device, Item};

fn given(json: &str) -> Given {
    serde_json::from_str(json).unwrap()
}

fn command(action: &str, json: &str, velocity: Option<u8>) -> Command {
    Command::of(action, &given(json), velocity).unwrap()
}

fn player() -> Player {
    let device = Device { id: Some("d1".into()), name: "Desk".into(), volume_percent: Some(40), supports_volume: true };
    let item = Item { uri: "spotify:track:4uLU6hMCjMI75M1A2tKUQC".into(), name: "Song".into(), artists: vec![] };
    Player { is_playing: true, shuffle_state: false, repeat_state: Repeat::Off, device, item: Some(item) }
}

/// `METHOD path` of the request.
fn asks(command: &Command, player: Option<&Player>, device: Option<&str>) -> Result<String, Cannot> {
    request(command, player, device).map(|(request, _)| format!("{} {}", request.method, request.path))
}

#[test]
fn every_action_of_the_manifest_is_one() {
    let manifest = include_str!("../plugin.toml");
    let manifest: toml::Table = manifest.parse().unwrap();
    let actions = manifest["actions"].as_array().unwrap();
    assert_eq!(actions.len(), 11);
    for action in actions {
        let name = action["name"].as_str().unwrap();
        let example = action.get("example").map_or_else(|| "{}".to_owned(), |example| json!(example).to_string());
        command(name, &example, None);
    }
    assert_eq!(Command::of("stop", &Given::default(), None).unwrap_err().to_string(), "there is no action 'stop'");
}

#[test]
fn each_command_is_its_documented_request() {
    let player = player();
    for (action, params, expected) in [
        ("play", "{}", "PUT /me/player/play"),
        ("pause", "{}", "PUT /me/player/pause"),
        ("play_pause", "{}", "PUT /me/player/pause"),
        ("next_track", "{}", "POST /me/player/next"),
        ("previous_track", "{}", "POST /me/player/previous"),
        ("set_volume", r#"{"volume":0}"#, "PUT /me/player/volume?volume_percent=0"),
        ("adjust_volume", r#"{"by":-5}"#, "PUT /me/player/volume?volume_percent=35"),
        ("toggle_shuffle", "{}", "PUT /me/player/shuffle?state=true"),
        ("toggle_shuffle", r#"{"on":false}"#, "PUT /me/player/shuffle?state=false"),
        ("cycle_repeat", "{}", "PUT /me/player/repeat?state=context"),
        ("cycle_repeat", r#"{"mode":"track"}"#, "PUT /me/player/repeat?state=track"),
        ("play_playlist", r#"{"playlist":"37i9dQ"}"#, "PUT /me/player/play"),
        ("like_current_track", "{}", "PUT /me/library?uris=spotify%3Atrack%3A4uLU6hMCjMI75M1A2tKUQC"),
    ] {
        assert_eq!(asks(&command(action, params, None), Some(&player), None).unwrap(), expected, "{action} {params}");
    }
    let on = |command: &Command| asks(command, Some(&player), Some("a b")).unwrap();
    assert_eq!(on(&Command::Next), "POST /me/player/next?device_id=a%20b");
    assert_eq!(on(&Command::SetVolume(7)), "PUT /me/player/volume?volume_percent=7&device_id=a%20b");
    assert!(!on(&Command::Like).contains("device"));
    let (playlist, _) = request(&Command::Playlist("spotify:playlist:x".into()), None, None).unwrap();
    assert_eq!(playlist.body, Some(json!({ "context_uri": "spotify:playlist:x" })));
}

#[test]
fn a_toggle_is_the_other_of_what_is() {
    let mut player = player();
    player.is_playing = false;
    player.shuffle_state = true;
    player.repeat_state = Repeat::Track;
    assert_eq!(asks(&Command::PlayPause, Some(&player), None).unwrap(), "PUT /me/player/play");
    assert_eq!(asks(&Command::Shuffle(None), Some(&player), None).unwrap(), "PUT /me/player/shuffle?state=false");
    assert_eq!(asks(&Command::Repeat(None), Some(&player), None).unwrap(), "PUT /me/player/repeat?state=off");
    // nothing is active, but a device was named
    assert_eq!(asks(&Command::PlayPause, None, Some("d")).unwrap(), "PUT /me/player/play?device_id=d");
    for command in [Command::PlayPause, Command::Shuffle(None), Command::Repeat(None), Command::AdjustVolume(1)] {
        assert!(command.needs_player());
        assert_eq!(asks(&command, None, None), Err(Cannot::NoDevice), "{command:?}");
    }
}

#[test]
fn the_velocity_is_the_volume_where_none_is_given() {
    let volume = |json: &str, velocity| match Command::of("set_volume", &given(json), velocity) {
        Ok(Command::SetVolume(percent)) => Ok(percent),
        Err(fault) => Err(fault),
        other => panic!("{other:?}"),
    };
    let all: Vec<u8> = (0..=127).map(|velocity| volume("{}", Some(velocity)).unwrap()).collect();
    assert_eq!((all[0], all[1], all[64], all[127]), (0, 1, 50, 100));
    assert!(all.is_sorted());
    assert_eq!(volume(r#"{"volume":30}"#, Some(127)), Ok(30));
    assert_eq!(volume("{}", None), Err(Fault::NoVolume));
    for outside in [-1, 101, i64::MAX] {
        assert_eq!(
            volume(&format!(r#"{{"volume":{outside}}}"#), None).unwrap_err().to_string(),
            "'volume' must be from 0 to 100"
        );
    }
}

#[test]
fn a_volume_stays_within_its_bounds_and_on_devices_that_have_one() {
    let mut player = player();
    let adjusted = |by: i8, player: &Player| asks(&Command::AdjustVolume(by), Some(player), None);
    assert!(adjusted(100, &player).unwrap().ends_with("=100"));
    assert!(adjusted(-100, &player).unwrap().ends_with("=0"));
    player.device.volume_percent = None;
    assert_eq!(adjusted(5, &player), Err(Cannot::NoVolume("Desk".into())));
    assert_eq!(Command::of("adjust_volume", &Given::default(), None), Err(Fault::NoStep));
    assert!(Command::of("adjust_volume", &given(r#"{"by":-101}"#), None).is_err());
}

#[test]
fn a_playlist_is_what_people_copy() {
    let uri = "spotify:playlist:37i9dQZF1DX4sWSpwq3LiO";
    for text in [
        "37i9dQZF1DX4sWSpwq3LiO",
        uri,
        " https://open.spotify.com/playlist/37i9dQZF1DX4sWSpwq3LiO?si=abc&pt=1 ",
        "https://open.spotify.com/intl-de/playlist/37i9dQZF1DX4sWSpwq3LiO",
    ] {
        assert_eq!(playlist_uri(text).as_deref(), Some(uri), "{text}");
    }
    let long = "x".repeat(MAX_ID + 1);
    for text in ["", "spotify:album:x", "https://evil.example/playlist/x", "a/b", "spotify:playlist:", "x y", &long] {
        assert_eq!(playlist_uri(text), None, "{text}");
    }
}

#[test]
fn what_cannot_be_saved_is_said() {
    let mut player = player();
    player.item.as_mut().unwrap().uri = "spotify:local:a:b:c:1".into();
    assert_eq!(asks(&Command::Like, Some(&player), None), Err(Cannot::LocalFile("Song".into())));
    player.item = None;
    assert_eq!(asks(&Command::Like, Some(&player), None), Err(Cannot::NothingPlays));
    assert_eq!(asks(&Command::Like, None, None), Err(Cannot::NothingPlays));
}

#[test]
fn the_device_is_the_actions_else_the_settings() {
    assert_eq!(device(&given(r#"{"device":" Kitchen "}"#), "Desk"), Ok(Some("Kitchen")));
    assert_eq!(device(&Given::default(), "Desk"), Ok(Some("Desk")));
    assert_eq!(device(&given(r#"{"device":""}"#), "Desk"), Ok(None));
    assert_eq!(device(&Given::default(), &"x".repeat(MAX_DEVICE + 1)), Err(Fault::Device));
}
