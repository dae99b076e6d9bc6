use super::*;
use midimon_plugin::test::{Answer, Call, Driver, Request};
use std::io::ErrorKind;
use std::net::UdpSocket;

const ADDRESS: &str = "udp:192.0.2.7:10023";

/// The plugin, with a real socket where midimon has its own, and the mixer at the other end.
fn start(settings: &str) -> (Driver<Osc>, UdpSocket) {
    let mixer = UdpSocket::bind("127.0.0.1:0").unwrap();
    mixer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(mixer.local_addr().unwrap()).unwrap();
    socket.set_nonblocking(true).unwrap();
    let answers = move |request: &Request| match request {
        Request::DatagramSend { target, .. } | Request::DatagramReceive { target } if target != ADDRESS => {
            Answer::Refused(Refusal::NotGranted, target.clone())
        }
        Request::DatagramSend { payload, .. } => {
            socket.send(payload).unwrap();
            Answer::Done
        }
        Request::DatagramReceive { .. } => {
            let mut bytes = [0; 8192];
            match socket.recv(&mut bytes) {
                Ok(length) => Answer::Datagram(bytes[..length].to_vec()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    Answer::Refused(Refusal::TimedOut, "nothing".into())
                }
                Err(error) => Answer::Refused(Refusal::Failed, error.to_string()),
            }
        }
        _ => Answer::Done,
    };
    (Driver::start_with(settings, answers).unwrap(), mixer)
}

fn receive(mixer: &UdpSocket) -> (Vec<u8>, std::net::SocketAddr) {
    let mut bytes = [0; 8192];
    let (length, from) = mixer.recv_from(&mut bytes).unwrap();
    (bytes[..length].to_vec(), from)
}

fn emitted(plugin: &Driver<Osc>) -> Vec<(String, String)> {
    let requests = plugin.requests().into_iter();
    requests
        .filter_map(|request| match request {
            Request::Emit { event, value } => Some((event, value)),
            _ => None,
        })
        .collect()
}

#[test]
fn a_fader_is_sent_with_what_was_played_filled_in() {
    let (mut plugin, mixer) = start(&format!(r#"{{"address":"{ADDRESS}"}}"#));
    let params = r#"{"address":"/ch/{channel}/fader","args":"f:{fraction} {controller} \"{device}\" true"}"#;
    let call = Call::new("send").params(params).message(Trigger::ControlChange, &[0xB2, 7, 127], Some(127));
    assert_eq!(
        plugin.call(&call.device("a \"pad\"")).unwrap().answer.as_deref(),
        Some("/ch/3/fader f:1.0000 7 \"a \\\"pad\\\"\" true")
    );
    let expected = b"/ch/3/fader\0,fisT\0\0\0\x3f\x80\0\0\0\0\0\x07a \"pad\"\0";
    assert_eq!(receive(&mixer).0, expected);
}

#[test]
fn what_comes_back_is_emitted_the_latest_of_each_address() {
    let (mut plugin, mixer) = start(&format!(r#"{{"address":"{ADDRESS}","listen":true,"hello":"/xremote 1"}}"#));
    let (hello, from) = receive(&mixer);
    assert_eq!(hello, packet::write("/xremote", "1").unwrap());
    let timers: Vec<String> = plugin
        .requests()
        .into_iter()
        .filter_map(|request| match request {
            Request::Every { action, ms, .. } => Some(format!("{action} {ms}")),
            _ => None,
        })
        .collect();
    assert_eq!(timers, ["look 50", "hello 9000"]);
    for value in ["0.25", "0.5"] {
        mixer.send_to(&packet::write("/ch/01/mix/fader", value).unwrap(), from).unwrap();
    }
    mixer.send_to(b"no OSC at all", from).unwrap();
    mixer.send_to(&packet::write("/ch/01/mix/on", "1 \"x\"").unwrap(), from).unwrap();
    plugin.call(&Call::new(LOOK).trigger(Trigger::Timer)).unwrap();
    let told = [("/ch/01/mix/fader", "0.5"), ("/ch/01/mix/on", "1 \"x\"")];
    assert_eq!(emitted(&plugin), told.map(|(event, value)| (event.to_owned(), value.to_owned())));
    assert!(plugin.logged()[0].1.contains("no OSC"), "{:?}", plugin.logged());
    plugin.call(&Call::new(HELLO).trigger(Trigger::Timer)).unwrap();
    assert_eq!(receive(&mixer).0, hello);
}

#[test]
fn without_listening_there_are_no_timers_and_a_bad_setting_is_named() {
    let (plugin, _) = start(&format!(r#"{{"address":"{ADDRESS}","hello":"/x"}}"#));
    assert_eq!(plugin.requests(), []);
    let error = Driver::<Osc>::start(r#"{"hello_s":0}"#).unwrap_err();
    assert!(error.message().contains("1 to 3600"), "{}", error.message());
}

#[test]
fn without_an_address_and_for_what_is_no_message_it_says_so() {
    let mut plugin = Driver::<Osc>::start("{}").unwrap();
    let call = |params: &str| Call::new("send").params(params);
    let error = plugin.call(&call(r#"{"address":"/a"}"#)).unwrap_err();
    assert!(error.message().contains("plugin config set osc address"), "{}", error.message());
    let (mut plugin, _) = start(&format!(r#"{{"address":"{ADDRESS}"}}"#));
    for (params, words) in [
        (r#"{"address":"a"}"#, "begins with '/'"),
        (r#"{"address":"/a","args":"word"}"#, "quotation marks"),
        (r#"{"address":"/a","args":"{velocity}"}"#, "{velocity|100}"),
        ("{}", "'address' is missing"),
    ] {
        let error = plugin.call(&call(params)).unwrap_err();
        assert!(error.message().contains(words), "{}", error.message());
    }
}
