use super::*;
use midimon_shared::host::{Light, MouseButton};
use proptest::prelude::*;

fn grants(texts: &[&str]) -> Grants {
    Grants::parse(texts.iter().copied()).unwrap()
}

/// Every device but one has an output of the same name.
fn permit(grants: &Grants, call: HostCall) -> Result<Permit, HostRefusal> {
    let output_of = |device: &str| match device {
        "none" => Err(refusal(RefusalKind::Invalid, "no output")),
        device => Ok(device.to_owned()),
    };
    super::permit(grants, call, &output_of)
}

fn light(device: &str, channel: u8, light: Light, value: u8) -> HostCall {
    HostCall::SetLight { device: device.into(), channel, light, value }
}

fn emit(event: &str, value: &str) -> HostCall {
    HostCall::Emit { event: event.into(), value: value.into() }
}

fn timer(ms: u32, params: &str) -> HostCall {
    HostCall::TimerSet { id: 1, ms, every: true, action: "a".into(), params: params.into() }
}

fn connect(target: &str) -> HostCall {
    HostCall::Connect { target: target.into(), timeout_ms: 1000 }
}

fn refused(grants: &Grants, call: HostCall) -> RefusalKind {
    permit(grants, call).unwrap_err().kind
}

/// One of each kind, with the grant it needs.
fn every_call() -> Vec<(Option<&'static str>, HostCall)> {
    vec![
        (Some("network:example.org:443"), connect("example.org:443")),
        (
            Some("network:udp:example.org:53"),
            HostCall::DatagramSend { target: "example.org:53".into(), payload: vec![1] },
        ),
        (
            Some("network:udp:example.org:53"),
            HostCall::DatagramReceive { target: "udp:example.org:53".into(), timeout_ms: 0 },
        ),
        (Some("midi:Synth"), HostCall::MidiSend { port: "Synth".into(), message: vec![0x90, 60, 1] }),
        (
            Some("subprocess:date"),
            HostCall::Run { program: "date".into(), arguments: vec!["-u".into()], timeout_ms: 1 },
        ),
        (Some("input"), HostCall::Keystroke("ctrl+a".into())),
        (Some("input"), HostCall::Text("a\n\tü".into())),
        (Some("input"), HostCall::Mouse(Mouse::Click(MouseButton::Left))),
        (Some("system-control"), HostCall::System(SystemControl::Mute)),
        (None, HostCall::Notify { title: "t".into(), body: "b".into() }),
        (None, emit("scene", "Live")),
        (Some("midi:Synth"), light("Synth", 16, Light::Note(127), 127)),
        (Some("mode"), HostCall::SetMode("Live".into())),
        (None, timer(10, "")),
        (None, HostCall::TimerCancel { id: 1 }),
        (None, HostCall::Usage),
        (None, HostCall::TlsRoots),
    ]
}

#[test]
fn each_request_needs_its_own_grant_and_no_other() {
    let calls = every_call();
    let all: Vec<&str> = calls.iter().filter_map(|(grant, _)| *grant).chain(["filesystem", "audio"]).collect();
    for (needed, call) in &calls {
        let others: Vec<&str> = all.iter().copied().filter(|grant| Some(*grant) != *needed).collect();
        match needed {
            Some(needed) => {
                assert!(permit(&grants(&[needed]), call.clone()).is_ok(), "{call:?} with {needed}");
                assert_eq!(refused(&grants(&others), call.clone()), RefusalKind::NotGranted, "{call:?}");
            }
            None => assert!(permit(&grants(&[]), call.clone()).is_ok(), "{call:?}"),
        }
    }
}

#[test]
fn hosts_are_compared_as_hosts_and_ports_and_transports_count() {
    let granted = grants(&["network:Example.org.:443", "network:udp:dns.example:53"]);
    for same in ["example.org:443", "EXAMPLE.ORG.:443", "tcp:example.org:443"] {
        assert!(permit(&granted, connect(same)).is_ok(), "{same}");
    }
    for other in ["example.org:80", "www.example.org:443", "example.org.evil.net:443", "dns.example:53"] {
        assert_eq!(refused(&granted, connect(other)), RefusalKind::NotGranted, "{other}");
    }
    for nonsense in ["user@example.org:443", "example.org", "exämple.org:443", "2130706433:443", "udp:dns.example:53"]
    {
        assert_eq!(refused(&granted, connect(nonsense)), RefusalKind::Invalid, "{nonsense}");
    }
}

#[test]
fn a_grant_that_is_no_endpoint_grants_nothing() {
    let odd = ["network:0x7f.1:80", "network:*:80", "network:user@host:80", "network:127.1:80"];
    let granted = grants(&odd);
    for target in odd {
        let target = target.strip_prefix("network:").unwrap();
        assert!(permit(&granted, connect(target)).is_err(), "{target}");
    }
    assert!(permit(&granted, connect("127.0.0.1:80")).is_err());
}

#[test]
fn ports_and_programs_are_those_granted_to_the_letter() {
    let granted = grants(&["midi:Synth", "subprocess:date"]);
    for port in ["synth", "Synth ", "Synth 2", ""] {
        let call = HostCall::MidiSend { port: port.into(), message: vec![0x90, 60, 1] };
        assert_eq!(refused(&granted, call), RefusalKind::NotGranted, "{port:?}");
    }
    for program in ["/bin/date", "./date", "date ", "sh", "../date"] {
        let call = HostCall::Run { program: program.into(), arguments: Vec::new(), timeout_ms: 1 };
        assert_eq!(refused(&granted, call), RefusalKind::NotGranted, "{program:?}");
    }
}

#[test]
fn sizes_and_waits_over_the_limits_are_refused() {
    let granted =
        grants(&["network:udp:a.example:1", "network:a.example:1", "midi:p", "subprocess:date", "input", "mode"]);
    let run = |arguments: Vec<String>| HostCall::Run { program: "date".into(), arguments, timeout_ms: 1 };
    let send = |length| HostCall::DatagramSend { target: "a.example:1".into(), payload: vec![0; length] };
    let cases = [
        HostCall::Connect { target: "a.example:1".into(), timeout_ms: MAX_WAIT_MS + 1 },
        HostCall::DatagramReceive { target: "a.example:1".into(), timeout_ms: u32::MAX },
        send(MAX_DATAGRAM + 1),
        HostCall::MidiSend { port: "p".into(), message: [&[0xF0][..], &[0; MAX_MIDI], &[0xF7]].concat() },
        HostCall::MidiSend { port: "p".into(), message: vec![0x90, 60, 100, 0x90, 61, 100] },
        run(vec![String::new(); MAX_ARGUMENTS + 1]),
        run(vec!["x".repeat(MAX_ARGUMENT_BYTES + 1)]),
        run(vec!["a\0b".into()]),
        HostCall::Text("x".repeat(MAX_TEXT + 1)),
        HostCall::Text("\x1b[2J".into()),
        HostCall::Keystroke("x".repeat(MAX_TEXT + 1)),
        HostCall::Notify { title: "x".repeat(MAX_TITLE + 1), body: String::new() },
        HostCall::Notify { title: String::new(), body: "x".repeat(MAX_TEXT + 1) },
        connect(&format!("{}:1", "a.".repeat(MAX_TARGET))),
        emit("", ""),
        emit(" ", ""),
        emit("a\nb", ""),
        emit(&"x".repeat(MAX_EVENT_NAME + 1), ""),
        emit("e", &"x".repeat(MAX_EVENT_VALUE + 1)),
        light("none", 1, Light::Note(1), 1),
        light("p", 0, Light::Note(1), 1),
        light("p", 17, Light::Note(1), 1),
        light("p", 1, Light::Control(128), 1),
        light("p", 1, Light::Note(1), 128),
        light(&"x".repeat(MAX_TARGET + 1), 1, Light::Note(1), 1),
        HostCall::SetMode("x".repeat(MAX_TARGET + 1)),
        timer(9, ""),
        timer(10, "[]"),
    ];
    for call in cases {
        assert_eq!(refused(&granted, call.clone()), RefusalKind::Invalid, "{call:?}");
    }
    assert!(permit(&granted, emit(&"x".repeat(MAX_EVENT_NAME), &"\n".repeat(MAX_EVENT_VALUE))).is_ok());
    assert!(permit(&granted, send(MAX_DATAGRAM)).is_ok());
    assert!(permit(&granted, run(vec!["x".into(); MAX_ARGUMENTS])).is_ok());
}

#[test]
fn refusals_show_a_strangers_text_made_safe() {
    let words = permit(&grants(&[]), HostCall::MidiSend { port: "a\x1b[2J".into(), message: vec![] }).unwrap_err();
    assert!(!words.message.contains('\x1b') && words.message.contains("'midi:a\\u{1b}[2J'"), "{}", words.message);
}

#[test]
fn what_is_typed_does_not_reach_the_audit_log() {
    let subject = |what, target: &str, bytes| Subject { what, target: target.into(), arguments: Vec::new(), bytes };
    assert_eq!(describe(&HostCall::Text("secret".into())), subject("text", "", 6));
    assert_eq!(describe(&HostCall::Keystroke("s".into())), subject("keystroke", "", 0));
    assert_eq!(describe(&connect("a:1")), subject("connect", "a:1", 0));
    // what a program is given does: it runs with the user's rights
    let arguments = vec!["-u".to_owned(), "x y".to_owned()];
    let run = HostCall::Run { program: "date".into(), arguments: arguments.clone(), timeout_ms: 1 };
    assert_eq!(describe(&run), Subject { arguments, ..subject("run", "date", 5) });
}

proptest! {
    #[test]
    fn no_target_but_one_that_means_the_granted_is_permitted(text in "(tcp:|udp:)?[eExX.@\\[\\]:/-]{0,6}(example\\.org|EXAMPLE\\.ORG)?[.:]{0,2}(443|0443|80)?") {
        let granted = grants(&["network:example.org:443"]);
        if let Ok(Permit::Connect { endpoint, .. }) = permit(&granted, connect(&text)) {
            prop_assert_eq!(endpoint.to_string(), "example.org:443");
            let plain = text.to_ascii_lowercase();
            let plain = plain.strip_prefix("tcp:").unwrap_or(&plain).replace(".:", ":");
            prop_assert_eq!(plain, "example.org:443");
        }
    }

    #[test]
    fn what_is_too_long_is_refused_and_its_refusal_is_not_as_long(text in "\\PC{1,9}", times in 1_usize..3000) {
        let all = grants(&["network:example.org:443", "midi:Synth", "subprocess:git", "input", "mode"]);
        let long = text.repeat(times);
        let run = HostCall::Run { program: "git".into(), arguments: vec![long.clone(); 3], timeout_ms: 1 };
        for (call, most) in [
            (connect(&long), 256),
            (HostCall::Text(long.clone()), 1024),
            (HostCall::SetMode(long.clone()), 256),
            (emit(&long, ""), 64),
            (emit("e", &long), 1024),
            (run, 16 * 1024 / 3),
        ] {
            match permit(&all, call) {
                Ok(_) => prop_assert!(long.len() <= most),
                Err(refusal) => prop_assert!(refusal.message.len() < 3000, "{}", refusal.message),
            }
        }
    }
}
