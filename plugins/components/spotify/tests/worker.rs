//! The plugin as it is installed, in its sandbox, run by the real programs, against a
//! stand-in of Spotify.

use midimon_plugin::test::{Sandbox, Setup};
use spotify_server::{Fault, Server};

/// The plugin with its manifest asking for this target, and without its login: the test itself
/// gives it the tokens.
fn asking_for(target: &str) -> Setup {
    let manifest = include_str!("../plugin.toml").replace("api.spotify.com:443", target);
    let (before, from) = manifest.split_once("[login]").expect("a login");
    let (_, after) = from.split_once("[[capabilities]]").expect("what it asks for");
    Sandbox::built("spotify").manifest(&format!("{before}[[capabilities]]{after}"))
}

fn set_up(server: &Server) -> Setup {
    let address = server.address().to_string();
    asking_for(&address)
        .grant(&format!("network:{address}"))
        .grant("filesystem")
        .setting("client_id", "client-0")
        .setting("api_url", &format!("http://{address}/v1"))
        .setting("token_url", &format!("http://{address}/api/token"))
        .setting("refresh_token", "refresh-0")
        .setting("access_token", "access-0")
}

#[test]
fn a_pad_plays_and_its_velocity_is_the_volume() {
    let server = Server::start().unwrap();
    let set_up = set_up(&server).note(36, "play", "{}").note(37, "set_volume", "{}");
    let mut plugin = set_up.start().unwrap();
    plugin.midi(&[0x90, 36, 127]).unwrap();
    plugin.wait_until("it plays", || server.state().is_playing).unwrap();
    // without an end of its access token, it is renewed first
    assert_eq!(server.asked(), ["POST /api/token", "PUT /v1/me/player/play"]);
    plugin.midi(&[0x90, 37, 64]).unwrap();
    plugin.wait_until("the volume is set", || server.state().devices[0].volume == 50).unwrap();
    // the timer sets what comes too soon after it
    plugin.midi(&[0x90, 37, 1]).unwrap();
    plugin.midi(&[0x90, 37, 127]).unwrap();
    plugin.wait_until("the volume is where it came to rest", || server.state().devices[0].volume == 100).unwrap();
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
    let mut plugin = asking_for(&address)
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
