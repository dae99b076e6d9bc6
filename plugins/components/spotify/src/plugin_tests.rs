use super::*;
use midimon_plugin::Refusal;
use midimon_plugin::test::{Answer, Call, Driver, Request as Asked};
use spotify_server::{Fault, Server};
use std::cell::Cell;
use std::net::TcpStream;
use std::path::PathBuf;

thread_local! {
    /// The plugin's time, in milliseconds: it goes on only when a test says so.
    static NOW: Cell<u64> = const { Cell::new(0) };
}

pub(super) fn clock(_: Instant) -> u64 {
    NOW.get()
}

/// A directory of its own, gone when dropped.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Self {
        let place = std::env::temp_dir().join(format!("midimon-spotify-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&place).unwrap();
        Self(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn settings(server: &Server, more: &str) -> String {
    let address = server.address();
    format!(
        r#"{{"client_id":"client-0","refresh_token":"refresh-0","access_token":"access-0","expires_at":99999999999,
            "api_url":"http://{address}/v1","token_url":"http://{address}/api/token"{more}}}"#
    )
}

fn connecting(plugin: &mut Driver<Spotify>) {
    plugin.answers(|request| match request {
        Asked::Connect { target } => match TcpStream::connect(target) {
            Ok(stream) => Answer::Connected(stream),
            Err(error) => Answer::Refused(Refusal::Failed, error.to_string()),
        },
        _ => Answer::Done,
    });
}

fn start(server: &Server, place: &Place, more: &str) -> Driver<Spotify> {
    let mut plugin = Driver::start_in(&place.0, &settings(server, more)).unwrap();
    connecting(&mut plugin);
    plugin
}

fn call(plugin: &mut Driver<Spotify>, action: &str, params: &str) -> Result<String, String> {
    let outcome = plugin.call(&Call::new(action).params(params));
    outcome.map(|outcome| outcome.answer.unwrap_or_default()).map_err(|error| error.message().to_owned())
}

#[test]
fn every_action_does_at_spotify_what_it_says() {
    let (server, place) = (Server::start().unwrap(), Place::new("actions"));
    let mut plugin = start(&server, &place, "");
    let mut ok = |action: &str, params: &str| call(&mut plugin, action, params).unwrap();
    assert_eq!(ok("play_pause", "{}"), "plays");
    assert!(server.state().is_playing);
    assert_eq!(ok("play_pause", "{}"), "paused");
    assert_eq!(ok("play", "{}"), "plays");
    assert_eq!(ok("pause", "{}"), "paused");
    assert!(!server.state().is_playing);
    ok("next_track", "{}");
    ok("next_track", "{}");
    ok("previous_track", "{}");
    assert_eq!(server.state().track, 4);
    assert_eq!(ok("toggle_shuffle", "{}"), "shuffle on");
    assert!(server.state().shuffle);
    for mode in ["context", "track", "off"] {
        assert_eq!(ok("cycle_repeat", "{}"), format!("repeat {mode}"));
        assert_eq!(server.state().repeat, mode);
    }
    assert_eq!(ok("adjust_volume", r#"{"by":-15}"#), "volume 25 %");
    assert_eq!(server.state().devices[0].volume, 25);
    ok("play_playlist", r#"{"playlist":"https://open.spotify.com/playlist/37i9dQZF1DX4sWSpwq3LiO"}"#);
    assert_eq!(server.state().context.as_deref(), Some("spotify:playlist:37i9dQZF1DX4sWSpwq3LiO"));
    assert_eq!(ok("like_current_track", "{}"), "saved Band – Song");
    assert_eq!(server.state().saved, ["spotify:track:4uLU6hMCjMI75M1A2tKUQC"]);
}

#[test]
fn a_fader_sends_a_few_volumes_and_the_last_one() {
    let (server, place) = (Server::start().unwrap(), Place::new("fader"));
    let mut plugin = start(&server, &place, "");
    for value in [127, 100, 80, 64] {
        let call = Call::new("set_volume").message(Trigger::ControlChange, &[0xB0, 7, value], Some(value));
        plugin.call(&call).unwrap();
    }
    assert_eq!(server.asked(), ["PUT /v1/me/player/volume?volume_percent=100"]);
    let timers = plugin.requests().into_iter().filter(|request| matches!(request, Asked::After { .. })).count();
    assert_eq!(timers, 1);
    NOW.set(300);
    plugin.call(&Call::new(SETTLE).trigger(Trigger::Timer)).unwrap();
    assert_eq!((server.asked().len(), server.state().devices[0].volume), (2, 50));
    // steps after it need no question, for a while
    NOW.set(3_299);
    assert!(call(&mut plugin, "adjust_volume", r#"{"by":5}"#).unwrap().starts_with("volume 55 %"));
    assert_eq!(server.asked().len(), 3);
    NOW.set(6_299);
    server.change(|state| state.devices[0].volume = 10);
    assert_eq!(call(&mut plugin, "adjust_volume", r#"{"by":5}"#).unwrap(), "volume 15 %");
    assert!(plugin.call(&Call::new(SETTLE).trigger(Trigger::Manual)).is_err(), "the timer's alone");
}

#[test]
fn a_device_that_is_named_is_turned_from_its_own_volume() {
    for (name, active) in [("named-active", Some(0)), ("named-alone", None)] {
        let (server, place) = (Server::start().unwrap(), Place::new(name));
        let mut plugin = start(&server, &place, "");
        server.change(|state| state.active = active);
        let said = call(&mut plugin, "adjust_volume", r#"{"by":5,"device":"Küche"}"#).unwrap();
        let volumes = |server: &Server| (server.state().devices[0].volume, server.state().devices[1].volume);
        assert_eq!((said.as_str(), volumes(&server)), ("volume 75 %", (40, 75)));
        assert_eq!(server.asked().len(), 2, "{:?}", server.asked());
        NOW.set(NOW.get() + 10_000);
        server.change(|state| state.devices[1].supports_volume = false);
        let fixed = call(&mut plugin, "adjust_volume", r#"{"by":5,"device":"Küche"}"#).unwrap_err();
        assert!(fixed.contains("Küche can only be changed on the device itself"), "{fixed}");
    }
}

#[test]
fn what_cannot_be_kept_is_told_once_and_as_what_it_is() {
    let server = Server::start().unwrap();
    let mut plugin = Driver::<Spotify>::start(&settings(&server, "")).unwrap();
    connecting(&mut plugin);
    for _ in 0..2 {
        server.change_account(|account| account.access = "another".into());
        call(&mut plugin, "next_track", "{}").unwrap();
    }
    let warned = |plugin: &Driver<Spotify>, part: &str| {
        plugin.logged().iter().filter(|(level, words)| *level == Level::Warn && words.contains(part)).count()
    };
    assert_eq!((warned(&plugin, "renewed login"), warned(&plugin, "")), (1, 1), "{:?}", plugin.logged());
    server.fail(Fault::limit(600));
    call(&mut plugin, "play", "{}").unwrap_err();
    assert_eq!((warned(&plugin, "forgotten at a restart"), warned(&plugin, "")), (1, 2), "{:?}", plugin.logged());
}

#[test]
fn a_device_is_named_once_and_asked_for_again_when_it_is_gone() {
    let (server, place) = (Server::start().unwrap(), Place::new("device"));
    let mut plugin = start(&server, &place, r#","device":"küche""#);
    call(&mut plugin, "play", "{}").unwrap();
    call(&mut plugin, "next_track", "{}").unwrap();
    assert_eq!(server.state().active, Some(1));
    let lists = |server: &Server| server.asked().iter().filter(|asked| asked.ends_with("/devices")).count();
    assert_eq!(lists(&server), 1);
    assert_eq!(server.asked()[1], "PUT /v1/me/player/play?device_id=d-kitchen");
    // it comes back with another id
    server.change(|state| state.devices[1].id = "d-new".into());
    let gone = call(&mut plugin, "next_track", "{}").unwrap_err();
    assert!(gone.contains("Device not found"), "{gone}");
    call(&mut plugin, "next_track", "{}").unwrap();
    assert_eq!(lists(&server), 2);
    let unknown = call(&mut plugin, "play", r#"{"device":"Bath"}"#).unwrap_err();
    assert_eq!(unknown, "Spotify sees no device 'Bath'; it sees 'Desk', 'Küche'");
}

#[test]
fn what_spotify_refuses_says_what_to_do() {
    let (server, place) = (Server::start().unwrap(), Place::new("refused"));
    let mut plugin = start(&server, &place, "");
    server.change(|state| state.active = None);
    for action in ["play", "toggle_shuffle", "play_pause"] {
        let error = call(&mut plugin, action, "{}").unwrap_err();
        assert!(error.contains("play something on one of your devices"), "{action}: {error}");
    }
    assert!(call(&mut plugin, "like_current_track", "{}").unwrap_err().contains("nothing plays"));
    server.change(|state| state.active = Some(0));
    assert!(call(&mut plugin, "pause", "{}").unwrap_err().contains("Restriction violated"));
    server.change(|state| state.devices[0].supports_volume = false);
    let fixed = call(&mut plugin, "adjust_volume", r#"{"by":5}"#).unwrap_err();
    assert!(fixed.contains("only be changed on the device itself"), "{fixed}");
    server.change(|state| state.premium = false);
    assert!(call(&mut plugin, "play", "{}").unwrap_err().contains("Premium"));
    server.fail(Fault::api(403, "Insufficient client scope", ""));
    assert!(call(&mut plugin, "like_current_track", "{}").unwrap_err().contains(reply::LOG_IN));
}

#[test]
fn a_token_that_ended_is_renewed_once_and_what_replaces_it_outlives_the_process() {
    let (server, place) = (Server::start().unwrap(), Place::new("renewed"));
    server.change_account(|account| account.access = "another".into());
    let mut plugin = start(&server, &place, "");
    call(&mut plugin, "next_track", "{}").unwrap();
    let next = "POST /v1/me/player/next";
    assert_eq!(server.asked(), [next, "POST /api/token", next]);
    assert_eq!(server.state().track, 4, "what was refused was not done");
    drop(plugin);
    // the refresh token of the settings holds no more; the one that was kept does
    let mut plugin = start(&server, &place, "");
    call(&mut plugin, "next_track", "{}").unwrap();
    server.change_account(|account| account.access = "another".into());
    call(&mut plugin, "next_track", "{}").unwrap();
    assert_eq!(server.asked().iter().filter(|asked| asked.contains("token")).count(), 2);
    // a token that is refused as soon as it is new is a login that is over
    server.change_account(|account| account.access = "another".into());
    server.fail(Fault::api(401, "expired", ""));
    server.fail(Fault {
        status: 200,
        retry_after: None,
        body: r#"{"access_token":"bad","token_type":"Bearer"}"#.into(),
    });
    let error = call(&mut plugin, "play", "{}").unwrap_err();
    assert!(error.contains("does not take the login any more"), "{error}");
}

#[test]
fn a_login_that_is_over_is_said_and_asks_nobody_again_until_there_is_another() {
    let (server, place) = (Server::start().unwrap(), Place::new("over"));
    server.change_account(|account| (account.access, account.refresh) = ("x".into(), "y".into()));
    let mut plugin = start(&server, &place, "");
    let error = call(&mut plugin, "play", "{}").unwrap_err();
    assert!(error.contains("Refresh token revoked") && error.contains(reply::LOG_IN), "{error}");
    let asked = server.asked().len();
    for _ in 0..3 {
        assert!(call(&mut plugin, "play", "{}").unwrap_err().contains("has ended"));
    }
    drop(plugin);
    let mut plugin = start(&server, &place, "");
    assert!(call(&mut plugin, "play", "{}").unwrap_err().contains("has ended"));
    assert_eq!(server.asked().len(), asked);
    drop(plugin);
    // somebody logged in again
    let again = settings(&server, "").replace("refresh-0", "y").replace("access-0", "x");
    let mut plugin = Driver::<Spotify>::start_in(&place.0, &again).unwrap();
    assert!(!place.0.join("session.json").exists(), "the tokens of the login before are gone before the first call");
    connecting(&mut plugin);
    call(&mut plugin, "play", "{}").unwrap();
    drop(plugin);
    // and out
    let out = settings(&server, "").replace("refresh-0", "");
    let mut plugin = Driver::<Spotify>::start_in(&place.0, &out).unwrap();
    assert!(call(&mut plugin, "play", "{}").unwrap_err().contains("nobody is logged in"));
    assert!(!place.0.join("session.json").exists());
}

#[test]
fn a_limit_is_kept_over_calls_and_restarts() {
    let (server, place) = (Server::start().unwrap(), Place::new("limit"));
    let mut plugin = start(&server, &place, "");
    server.fail(Fault::limit(600));
    let error = call(&mut plugin, "play", "{}").unwrap_err();
    assert_eq!(error, "Spotify wants no more requests for 600 s: nothing was sent");
    for action in ["play", "next_track", "toggle_shuffle"] {
        assert!(call(&mut plugin, action, "{}").unwrap_err().contains("wants no more requests for"));
    }
    drop(plugin);
    let mut plugin = start(&server, &place, "");
    assert!(call(&mut plugin, "play", "{}").unwrap_err().contains("wants no more requests for"));
    assert_eq!((server.asked().len(), server.too_soon()), (1, 0));
}

#[test]
fn a_limit_that_is_over_is_forgotten() {
    let (server, place) = (Server::start().unwrap(), Place::new("limit-over"));
    let mut plugin = start(&server, &place, "");
    server.fail(Fault::limit(1));
    assert!(call(&mut plugin, "play", "{}").unwrap_err().contains("for 1 s"));
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Err(error) = call(&mut plugin, "play", "{}") {
        assert!(error.contains("for 1 s") && Instant::now() < deadline, "{error}");
    }
    assert!(server.state().is_playing);
}

#[test]
fn an_error_of_the_server_is_tried_once_more_and_a_skip_never_twice() {
    let (server, place) = (Server::start().unwrap(), Place::new("broken"));
    let mut plugin = start(&server, &place, "");
    let broken = || server.fail(Fault::api(502, "Bad gateway", ""));
    broken();
    assert_eq!(call(&mut plugin, "play", "{}").unwrap(), "plays");
    broken();
    broken();
    let error = call(&mut plugin, "pause", "{}").unwrap_err();
    assert!(error.contains("out of order (Bad gateway)"), "{error}");
    broken();
    assert!(call(&mut plugin, "next_track", "{}").is_err());
    assert_eq!((server.asked().len(), server.state().track), (5, 3));
}

#[test]
fn nothing_is_asked_without_a_grant_or_a_sensible_action() {
    let (server, place) = (Server::start().unwrap(), Place::new("grant"));
    let mut plugin = start(&server, &place, "");
    for (action, params) in
        [("set_volume", "{}"), ("play_playlist", "{}"), ("dance", "{}"), ("cycle_repeat", r#"{"mode":"x"}"#)]
    {
        call(&mut plugin, action, params).unwrap_err();
    }
    assert!(plugin.requests().is_empty() && server.asked().is_empty());
    plugin.answers(|_| Answer::Refused(Refusal::NotGranted, "'network' is not granted".into()));
    let error = call(&mut plugin, "play", "{}").unwrap_err();
    assert!(
        error.contains("midimon plugin grant spotify network:") && error.contains(&server.address().to_string()),
        "{error}"
    );
}
