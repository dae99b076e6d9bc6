//! The plugin as it is installed, in its sandbox, run by the real programs.

use midimon_plugin::test::Sandbox;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The installed plugin with its manifest asking for this target: nobody is there to answer questions.
fn asking_for(target: &str) -> PathBuf {
    let built = std::env::var_os("MIDIMON_PLUGINS_DIR").expect("MIDIMON_PLUGINS_DIR, as `make test` sets it");
    let built = Path::new(&built).join("osc");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("osc-{}", target.replace(':', "-")));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::copy(built.join("osc.wasm"), directory.join("osc.wasm")).unwrap();
    let manifest = std::fs::read_to_string(built.join("plugin.toml")).unwrap();
    let (before, from) = manifest.split_once("ask = ").expect("a question");
    let (_, after) = from.split_once("setting = \"address\"\n").expect("its setting");
    std::fs::write(directory.join("plugin.toml"), format!("{before}targets = [\"{target}\"]\n{after}")).unwrap();
    directory
}

fn mixer() -> (UdpSocket, String) {
    let mixer = UdpSocket::bind("127.0.0.1:0").unwrap();
    mixer.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let address = format!("udp:{}", mixer.local_addr().unwrap());
    (mixer, address)
}

fn receive(mixer: &UdpSocket) -> Vec<u8> {
    let mut bytes = [0; 8192];
    let (length, _) = mixer.recv_from(&mut bytes).unwrap();
    bytes[..length].to_vec()
}

#[test]
fn a_pad_sends_what_was_played_to_the_granted_address() {
    let (mixer, address) = mixer();
    let mut plugin = Sandbox::of(asking_for(&address))
        .grant(&format!("network:{address}"))
        .setting("address", &address)
        .note(36, "send", r#"{ address = "/pad/{note}", args = "f:{fraction} {channel} \"x\"" }"#)
        .start()
        .unwrap();
    plugin.midi(&[0x90, 36, 127]).unwrap();
    assert_eq!(receive(&mixer), osc::packet::write("/pad/36", "f:1 1 \"x\"").unwrap());
    assert_eq!(plugin.call("send", r#"{"address":"/a","args":"true"}"#).unwrap(), "/a true");
    assert_eq!(receive(&mixer), osc::packet::write("/a", "true").unwrap());
}

#[test]
fn the_hello_is_said_again_and_again_while_it_listens() {
    let (mixer, address) = mixer();
    let _plugin = Sandbox::of(asking_for(&address))
        .grant(&format!("network:{address}"))
        .setting("address", &address)
        .setting("listen", "true")
        .setting("hello", "/xremote")
        .setting("hello_s", "1")
        .start()
        .unwrap();
    for _ in 0..3 {
        assert_eq!(receive(&mixer), osc::packet::write("/xremote", "").unwrap());
    }
}

#[test]
fn what_is_not_granted_is_not_sent() {
    let (mixer, address) = mixer();
    let mut plugin = Sandbox::of(asking_for(&address)).setting("address", &address).start().unwrap();
    let error = plugin.call("send", r#"{"address":"/a"}"#).unwrap_err().to_string();
    assert!(error.contains("not granted"), "{error}");
    mixer.set_nonblocking(true).unwrap();
    assert!(mixer.recv(&mut [0; 16]).is_err());
}
