//! The plugin as it is installed, in its sandbox, run by the real programs, against a
//! stand-in of Spotify.

use midimon_plugin::test::{Sandbox, Setup};
use spotify_server::{Fault, Server};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The installed plugin with its manifest asking for this target, and without its login: the
/// test itself gives it the tokens.
fn asking_for(target: &str) -> PathBuf {
    let built = std::env::var_os("MIDIMON_PLUGINS_DIR").expect("MIDIMON_PLUGINS_DIR, as `make test` sets it");
    let built = Path::new(&built).join("spotify");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("spotify-{}", target.replace(':', "-")));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::copy(built.join("spotify.wasm"), directory.join("spotify.wasm")).unwrap();
    let manifest = std::fs::read_to_string(built.join("plugin.toml")).unwrap();
    let manifest = manifest.replace("api.spotify.com:443", target);
    let (before, from) = manifest.split_once("[login]").expect("a login");
    let (_, after) = from.split_once("[[capabilities]]").expect("what it asks for");
    std::fs::write(directory.join("plugin.toml"), format!("{before}[[capabilities]]{after}")).unwrap();
    directory
}

fn set_up(server: &Server) -> Setup {
    let address = server.address().to_string();
    Sandbox::of(asking_for(&address))
        .grant(&format!("network:{address}"))
        .grant("filesystem")
        .setting("client_id", "client-0")
        .setting("api_url", &format!("http://{address}/v1"))
        .setting("token_url", &format!("http://{address}/api/token"))
        .setting("refresh_token", "refresh-0")
        .setting("access_token", "access-0")
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_pad_plays_and_its_velocity_is_the_volume() {
    let server = Server::start().unwrap();
    let set_up = set_up(&server).note(36, "play", "{}").note(37, "set_volume", "{}");
    let mut plugin = set_up.start().unwrap();
    plugin.midi(&[0x90, 36, 127]).unwrap();
    eventually("it plays", || server.state().is_playing);
    // without an end of its access token, it is renewed first
    assert_eq!(server.asked(), ["POST /api/token", "PUT /v1/me/player/play"]);
    plugin.midi(&[0x90, 37, 64]).unwrap();
    eventually("the volume is set", || server.state().devices[0].volume == 50);
    // the timer sets what comes too soon after it
    plugin.midi(&[0x90, 37, 1]).unwrap();
    plugin.midi(&[0x90, 37, 127]).unwrap();
    eventually("the volume is where it came to rest", || server.state().devices[0].volume == 100);
    assert_eq!(plugin.call("toggle_shuffle", "{}").unwrap(), "shuffle on");
    assert_eq!(plugin.call("like_current_track", "{}").unwrap(), "saved Band – Song");
}

#[test]
fn what_spotify_says_reaches_the_user() {
    let server = Server::start().unwrap();
    let mut plugin = set_up(&server).start().unwrap();
    server.change(|state| state.active = None);
    let error = plugin.call("play", "{}").unwrap_err().to_string();
    assert!(error.contains("no Spotify player is active"), "{error}");
    server.fail(Fault::limit(600));
    assert!(plugin.call("next_track", "{}").unwrap_err().to_string().contains("for 600 s"));
    let asked = server.asked().len();
    assert!(plugin.call("next_track", "{}").is_err());
    assert_eq!((server.asked().len(), server.too_soon()), (asked, 0));
}

#[test]
fn without_the_grant_nothing_is_connected() {
    let server = Server::start().unwrap();
    let address = server.address().to_string();
    let mut plugin = Sandbox::of(asking_for(&address))
        .grant("filesystem")
        .setting("api_url", &format!("http://{address}/v1"))
        .setting("token_url", &format!("http://{address}/api/token"))
        .setting("refresh_token", "refresh-0")
        .start()
        .unwrap();
    let error = plugin.call("play", "{}").unwrap_err().to_string();
    assert!(error.contains("midimon plugin grant spotify network:"), "{error}");
    assert_eq!(server.asked(), Vec::<String>::new());
}
