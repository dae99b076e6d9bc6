//! The plugin as it is installed, in its sandbox, run by the real programs.

use midimon_plugin::test::Sandbox;
use std::net::UdpSocket;
use std::time::Duration;

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
    let mut plugin = Sandbox::built("osc")
        .grant(&format!("network:{address}"))
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
    let _plugin = Sandbox::built("osc")
        .grant(&format!("network:{address}"))
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
    let mut plugin = Sandbox::built("osc").setting("address", &address).start().unwrap();
    let error = plugin.call("send", r#"{"address":"/a"}"#).unwrap_err().to_string();
    assert!(error.contains("not granted"), "{error}");
    mixer.set_nonblocking(true).unwrap();
    assert!(mixer.recv(&mut [0; 16]).is_err());
}
