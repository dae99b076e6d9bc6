//! The plugin `osc` as a component in its sandbox, and a mixer on a real UDP socket.

use midimon_tests::{Bed, Daemon, Watch, eventually};
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// Longer than anything takes that is not broken.
const LONG: Duration = Duration::from_secs(30);

/// A message of OSC 1.0: an address, the types of its arguments, and these as bytes.
fn osc(address: &str, types: &str, arguments: &[u8]) -> Vec<u8> {
    let padded = |text: &str| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize((text.len() / 4 + 1) * 4, 0);
        bytes
    };
    [padded(address), padded(&format!(",{types}")), arguments.to_vec()].concat()
}

/// Somebody who is spoken to by OSC.
struct Mixer {
    socket: UdpSocket,
}

impl Mixer {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        socket.set_read_timeout(Some(LONG)).expect("a socket that waits");
        Self { socket }
    }

    fn address(&self) -> String {
        format!("udp:{}", self.socket.local_addr().expect("its address"))
    }

    fn receive(&self) -> (Vec<u8>, SocketAddr) {
        let mut bytes = [0; 2048];
        let (length, from) = self.socket.recv_from(&mut bytes).expect("a datagram");
        (bytes[..length].to_vec(), from)
    }

    /// The next one that is not the plugin's hello.
    fn receive_other(&self) -> Vec<u8> {
        loop {
            let (bytes, _) = self.receive();
            if bytes != osc("/xremote", "", &[]) {
                return bytes;
            }
        }
    }
}

const FADER: &str = "/ch/01/mix/fader";

fn start(granted: &str) -> (Bed, Daemon, Watch) {
    let bed = Bed::new();
    bed.install("echo");
    bed.install("osc");
    bed.configure_text(&format!(
        r#"schema = 1
[plugins]
dir = {:?}
[plugins.osc]
grants = [{granted:?}]

[[global_mappings]]
trigger = {{ type = "Plugin", plugin = "osc", event = "{FADER}" }}
action = {{ type = "Plugin", plugin = "echo", action = "say", params = {{ text = "any" }} }}

[[global_mappings]]
trigger = {{ type = "Plugin", plugin = "osc", event = "/scene", value = "\"Live\" 3" }}
action = {{ type = "Plugin", plugin = "echo", action = "live" }}

[[global_mappings]]
trigger = {{ type = "Note", note = 36 }}
action = {{ type = "Plugin", plugin = "osc", action = "send", params = {{ address = "/pad/{{note}}", args = "f:{{fraction}} i:{{velocity}} \"on\"" }} }}
"#,
        bed.plugin_dir()
    ));
    for (name, value) in [("listen", "true"), ("hello", "/xremote"), ("hello_s", "1")] {
        bed.works(&["plugin", "config", "set", "osc", name, value]);
    }
    let daemon = bed.start();
    for id in ["echo", "osc"] {
        daemon.wait_ready(id);
    }
    let watch = daemon.watch();
    (bed, daemon, watch)
}

#[test]
fn a_fader_on_the_mixer_fires_a_mapping_and_a_pad_reaches_the_mixer() {
    let mixer = Mixer::new();
    let (_bed, mut daemon, watch) = start(&format!("network:{}", mixer.address()));
    // the plugin opens the way back, again and again
    let (hello, plugin) = mixer.receive();
    assert_eq!(hello, osc("/xremote", "", &[]));
    assert_eq!(mixer.receive().0, hello);

    let send = |bytes: &[u8]| assert_eq!(mixer.socket.send_to(bytes, plugin).expect("sent"), bytes.len());
    send(&osc(FADER, "f", &0.5_f32.to_be_bytes()));
    let answer = watch.answer("echo");
    assert!(!answer.failed && answer.outcome.contains("any"), "{answer:?}");
    // a value that a mapping names; another one and what is no OSC fire nothing, and end nothing
    send(b"\x00\xff nonsense");
    send(&osc("/scene", "si", &[b"Dead\0\0\0\0", &3_i32.to_be_bytes()[..]].concat()));
    send(&osc("/scene", "si", &[b"Live\0\0\0\0", &3_i32.to_be_bytes()[..]].concat()));
    let answer = watch.answer("echo");
    assert!(answer.outcome.contains("live"), "{answer:?}");
    let echo = daemon.worker("echo");
    assert_eq!((echo.calls.received, daemon.worker("osc").restarts), (2, 0));

    // to a pad
    daemon.send(&[0x90, 36, 127]);
    let arguments = [&1_f32.to_be_bytes()[..], &127_i32.to_be_bytes(), b"on\0\0"].concat();
    assert_eq!(mixer.receive_other(), osc("/pad/36", "fis", &arguments));
    daemon.stop();
}

#[test]
fn nobody_but_the_granted_address_is_heard_or_spoken_to() {
    let (mixer, other) = (Mixer::new(), Mixer::new());
    let (bed, daemon, watch) = start(&format!("network:{}", mixer.address()));
    let (_, plugin) = mixer.receive();
    other.socket.send_to(&osc(FADER, "f", &0.1_f32.to_be_bytes()), plugin).expect("sent");
    // what the mixer says after it is heard first
    mixer
        .socket
        .send_to(&osc("/scene", "si", &[b"Live\0\0\0\0", &3_i32.to_be_bytes()[..]].concat()), plugin)
        .expect("sent");
    let answer = watch.answer("echo");
    assert!(answer.outcome.contains("live"), "{answer:?}");
    assert_eq!(daemon.worker("echo").calls.received, 1);
    daemon.stop();

    // without the grant nothing is sent, and that is told and recorded
    let (bed, mut daemon, watch) = {
        drop(bed);
        start("midi:Nothing")
    };
    daemon.send(&[0x90, 36, 1]);
    let answer = watch.answer("osc");
    assert!(answer.failed && answer.outcome.contains("not known where to send"), "{answer:?}");
    bed.works(&["plugin", "config", "set", "osc", "address", &other.address()]);
    eventually("it has tried again and again", || {
        let audit = bed.audit("osc");
        let refused = audit.iter().filter(|entry| entry["what"] == "datagram-send" && entry["allowed"] == false);
        let times: u64 = refused.map(|entry| entry["times"].as_u64().unwrap_or(1)).sum();
        if times > 2 { Ok(()) } else { Err(format!("{audit:#?}")) }
    });
    let log = bed.works(&["logs", "osc"]);
    assert_eq!(log.matches("not granted").count(), 1, "a failure that goes on is one line: {log}");
    other.socket.set_nonblocking(true).expect("a socket");
    assert!(other.socket.recv(&mut [0; 64]).is_err(), "nothing came");
    daemon.stop();
}
