//! The plugin as it is installed, in its sandbox, run by the real programs, against a
//! server that follows the published protocol.

use midimon_plugin::test::{Sandbox, Setup};
use obs_server::Server;
use serde_json::json;

fn set_up(server: &Server) -> Setup {
    let address = server.address().to_string();
    Sandbox::built("obs")
        .grant(&format!("network:{address}"))
        .setting("address", &address)
        .setting("password", "geheim")
}

#[test]
fn a_pad_switches_the_scene_behind_a_password() {
    let server = Server::start(0, "geheim").unwrap();
    let mut plugin = set_up(&server).note(36, "switch_scene", r#"{ scene = "Live" }"#).start().unwrap();
    plugin.midi(&[0x90, 36, 127]).unwrap();
    plugin.wait_until("the scene is on air", || server.studio().scene == "Live").unwrap();
    assert_eq!(plugin.call("toggle_recording", "{}").unwrap(), "on");
    let error = plugin.call("switch_scene", r#"{"scene":"Nowhere"}"#).unwrap_err().to_string();
    assert!(error.contains("No source was found"), "{error}");
    assert!(server.studio().records);
}

#[test]
fn what_happens_in_obs_fires_a_mapping() {
    let server = Server::start(0, "geheim").unwrap();
    let mut plugin = set_up(&server).event("scene_changed", Some("Pause"), "start_recording", "{}").start().unwrap();
    plugin.wait_until("it is connected", || !server.asked().is_empty()).unwrap();
    let request =
        |scene: &str| json!({ "requestType": "SetCurrentProgramScene", "requestData": { "sceneName": scene } });
    server.act(&request("Live")).unwrap();
    server.act(&request("Pause")).unwrap();
    plugin.wait_until("the mapping was fired", || server.studio().records).unwrap();
    assert_eq!(server.asked().iter().filter(|line| line.starts_with("StartRecord")).count(), 1);
}

#[test]
fn it_connects_again_when_the_network_failed() {
    let server = Server::start(0, "geheim").unwrap();
    let mut plugin = set_up(&server).start().unwrap();
    let greetings = || server.asked().iter().filter(|line| line.starts_with("GetRecordStatus")).count();
    plugin.wait_until("it is connected", || greetings() == 1).unwrap();
    server.cut();
    plugin.wait_until("it is connected again", || greetings() == 2).unwrap();
    assert_eq!(plugin.call("toggle_streaming", "{}").unwrap(), "on");
}

#[test]
fn without_the_grant_nothing_is_connected() {
    let server = Server::start(0, "").unwrap();
    let address = server.address().to_string();
    let mut plugin = Sandbox::built("obs").setting("address", &address).start().unwrap();
    let error = plugin.call("start_recording", "{}").unwrap_err().to_string();
    assert!(error.contains(&format!("midimon plugin grant obs network:{address}")), "{error}");
    assert_eq!(server.asked(), Vec::<String>::new());
}
