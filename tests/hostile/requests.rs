//! What a plugin can ask the supervisor for, asked without the grant or in other clothes: entries
//! 75 to 77 and 80 to 83 of the catalogue. The control is the same plugin with the grant.

use crate::support::{Libraries, Seen, observe};
use midimon_tests::{Bed, Config};
use nix::errno::Errno;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::time::Duration;

const NOT_GRANTED: Seen = Seen::Errno(Errno::EPERM);
const INVALID: Seen = Seen::Errno(Errno::EINVAL);
const TOO_MANY: Seen = Seen::Errno(Errno::EUSERS);

/// Answers everybody with a line of HTTP; its port.
fn web_server() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("its address").port();
    std::thread::spawn(move || {
        for line in listener.incoming() {
            let Ok(mut line) = line else { return };
            let _ = line.read(&mut [0; 512]); // whoever asks is answered alike
            let _ = line.write_all(b"HTTP/1.0 200 OK\r\n\r\nhello");
        }
    });
    port
}

/// What came of each: plugins that ask for everything, were granted `grants`, and say `words`.
fn ask(asked: &[(&str, &str)]) -> Vec<Seen> {
    const ASKS: &str = r#"
[[capabilities]]
capability = "network"
targets = ["localhost:1"]
reason = "to be asked"
"#;
    let bed = Bed::new();
    bed.install("echo");
    let mut config = Config::new().note(100, "echo", "quiet");
    for (note, (grants, words)) in (1..).zip(asked) {
        let id = format!("asks-{note}");
        // a manifest asks for the very targets; what is not granted is not given
        let wanted: String = grants
            .split(',')
            .filter(|grant| !grant.is_empty())
            .map(|grant| match grant.split_once(':') {
                Some((capability, target)) => format!(
                    "\n[[capabilities]]\ncapability = \"{capability}\"\ntargets = [\"{target}\"]\nreason = \"to ask\"\n"
                ),
                None => format!("\n[[capabilities]]\ncapability = \"{grant}\"\nreason = \"to ask\"\n"),
            })
            .collect();
        let asks = if wanted.is_empty() { ASKS } else { &wanted };
        let granted: Vec<String> =
            grants.split(',').filter(|grant| !grant.is_empty()).map(|grant| format!("\"{grant}\"")).collect();
        bed.write_plugin(&id, "case.so", &Libraries::get().patched("ask", b'h', words), asks);
        let settings = format!("restart = \"never\"\ntimeout_ms = 3000\ngrants = [{}]", granted.join(", "));
        config = config.plugin(&id, &settings).note(note, &id, "ask");
    }
    bed.configure(&config);
    let mut daemon = bed.start();
    daemon.wait_ready("echo");
    let watch = daemon.watch();
    let mut seen = Vec::new();
    for note in 1..=u8::try_from(asked.len()).expect("a note") {
        seen.push(observe(&mut daemon, &watch, &format!("asks-{note}"), note));
    }
    daemon.answers("echo", 100);
    daemon.stop();
    println!("{asked:#?}\n{seen:#?}");
    seen
}

fn named(call: &str, seen: &Seen) -> bool {
    matches!(seen, Seen::Ended(reason) if reason.contains(&format!("forbidden system call {call} (")))
}

#[test]
fn hostile_076_nothing_is_done_for_a_plugin_without_its_grant() {
    let port = web_server();
    let web = format!("connect 127.0.0.1:{port}");
    let seen = ask(&[
        ("", &web),
        ("", "datagram 127.0.0.1:9"),
        ("", "midi Midi Through"),
        ("", "run true"),
        ("", "keys ctrl+a"),
        ("", "type hello"),
        ("", "mouse -"),
        ("", "system -"),
        // what one grant opens another does not
        ("input", "run true"),
        ("subprocess:true", "keys ctrl+a"),
        ("system-control", "type hello"),
    ]);
    assert!(seen.iter().all(|seen| *seen == NOT_GRANTED), "{seen:?}");
    // the control: the same, granted
    let granted = format!("network:127.0.0.1:{port}");
    assert_eq!(ask(&[(&granted, &web), ("subprocess:true", "run true")]), [Seen::Works, Seen::Works]);
}

#[test]
fn hostile_077_a_grant_is_for_its_target_and_for_no_other() {
    let port = web_server();
    let granted = format!("network:127.0.0.1:{port}");
    let other = web_server();
    let seen = ask(&[
        (&granted, &format!("connect 127.0.0.1:{port}")),
        (&granted, &format!("connect 127.0.0.1:{other}")),
        (&granted, &format!("connect 127.0.0.2:{port}")),
        (&granted, &format!("datagram 127.0.0.1:{port}")),
        ("subprocess:true", "run false"),
        ("subprocess:true", "run ./true"),
        ("midi:One", "midi Two"),
    ]);
    assert_eq!(seen[0], Seen::Works);
    assert!(seen[1..].iter().all(|seen| matches!(*seen, NOT_GRANTED | INVALID)), "{seen:?}");
}

#[test]
fn hostile_078_a_granted_connection_goes_nowhere_else() {
    let port = web_server();
    let granted = format!("network:127.0.0.1:{port}");
    let seen = ask(&[
        (&granted, &format!("connect 127.0.0.1:{port}")),
        (&granted, &format!("reconnect 127.0.0.1:{port}")),
        (&granted, &format!("elsewhere 127.0.0.1:{port}")),
    ]);
    assert_eq!(seen[0], Seen::Works);
    assert!(named("connect", &seen[1]) && named("sendto", &seen[2]), "{seen:?}");
}

/// A name that leads inside, or an inner address in other clothes, is refused although it was granted as a name.
#[test]
fn hostile_081_no_spelling_leads_to_an_inner_address() {
    let port = web_server();
    let granted = format!("network:127.0.0.1:{port}");
    let spellings =
        ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "127.0.0.1.", "user@127.0.0.1", "[::ffff:127.0.0.1]"];
    let words: Vec<String> = spellings.iter().map(|host| format!("connect {host}:{port}")).collect();
    let mut asked = vec![(granted.clone(), format!("connect 127.0.0.1:{port}"))];
    asked.extend(words.into_iter().map(|words| (granted.clone(), words)));
    let asked: Vec<(&str, &str)> = asked.iter().map(|(grant, words)| (grant.as_str(), words.as_str())).collect();
    let seen = ask(&asked);
    assert_eq!(seen[0], Seen::Works, "the control");
    // a dot at the end is the same host, and nothing else
    for (spelling, seen) in spellings.iter().zip(&seen[1..]) {
        let same = *spelling == "127.0.0.1.";
        assert!(matches!(*seen, NOT_GRANTED | INVALID) || same && *seen == Seen::Works, "{spelling}: {seen:?}");
    }
}

#[test]
fn hostile_082_no_datagram_leaves_without_its_grant() {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = socket.local_addr().expect("its address").port();
    let words = format!("datagram 127.0.0.1:{port}");
    let seen = ask(&[("", &words), (&format!("network:127.0.0.1:{port}"), &words)]);
    assert!(seen.iter().all(|seen| *seen == NOT_GRANTED), "{seen:?}");
    socket.set_nonblocking(true).expect("a mode");
    assert!(socket.recv(&mut [0; 16]).is_err(), "a datagram came all the same");
    assert_eq!(ask(&[(&format!("network:udp:127.0.0.1:{port}"), &words)]), [Seen::Works]);
    assert_eq!(socket.recv(&mut [0; 16]).expect("the datagram"), 3);
}

/// A server that sends one byte now and then, and never a whole answer, holds up its plugin's call, and nothing else.
#[test]
fn hostile_083_a_response_that_drips_ends_at_the_calls_deadline() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let target = format!("127.0.0.1:{}", listener.local_addr().expect("its address").port());
    let dripping = std::thread::spawn(move || {
        let (mut line, _) = listener.accept().expect("the plugin");
        let mut drip = |byte: &u8| {
            std::thread::sleep(Duration::from_millis(100)); // as slow as the case asks for
            line.write_all(&[*byte]).is_ok()
        };
        let answer = b"HTTP/1.0 200 OK\r\n".iter().chain(std::iter::repeat(&b' '));
        // the line breaks when the plugin's process ends
        answer.take_while(|byte| drip(byte)).count()
    });
    // each byte does not begin its time anew, or it would never end
    let seen = ask(&[(&format!("network:{target}"), &format!("drain {target}"))]);
    assert!(matches!(&seen[0], Seen::Ended(reason) if reason.contains("deadline: a call")), "{seen:?}");
    let drops = dripping.join().expect("the server");
    assert!(drops > 10, "it dripped for as long as the call lasted: {drops}");
}

/// A server that never answers holds up its plugin's call, and nothing else.
#[test]
fn hostile_083_a_response_that_never_comes_ends_at_the_calls_deadline() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let seen = ask(&[(&format!("network:127.0.0.1:{port}"), &format!("connect 127.0.0.1:{port}"))]);
    assert!(matches!(&seen[0], Seen::Ended(reason) if reason.contains("deadline: a call")), "{seen:?}");
}

#[test]
fn hostile_075_floods_of_requests_are_refused_and_the_plugin_is_told() {
    assert_eq!(ask(&[("", "notify-flood -")]), [TOO_MANY]);
}
