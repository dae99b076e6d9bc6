//! A worker's request, whatever it is: refused in words that can be shown, or permitted with
//! everything in it within its bounds and with a target that is granted.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midimon::mapping::parse_keystroke;
use midimon::plugins::Grants;
use midimon::workers::broker::{MidiMessage, Permit, describe, permit};
use midimon_shared::codec::decode;
use midimon_shared::host::{
    HostRequest, MAX_ARGUMENT_BYTES, MAX_ARGUMENTS, MAX_DATAGRAM, MAX_EVENT_NAME, MAX_EVENT_VALUE, MAX_MIDI,
    MAX_TARGET, MAX_TEXT, MAX_TITLE, MAX_WAIT_MS,
};
use std::sync::LazyLock;
use std::time::Duration;

const HOST: &str = "example.org:443";
const DATAGRAMS: &str = "udp:[::1]:53";

static GRANTS: LazyLock<Grants> = LazyLock::new(|| {
    let targets =
        [format!("network:{HOST}"), format!("network:{DATAGRAMS}"), "midi:Synth".into(), "subprocess:git".into()];
    let plain = ["filesystem", "input", "system-control", "audio", "mode"].map(String::from);
    Grants::parse(targets.iter().chain(&plain).map(String::as_str)).expect("capabilities")
});

/// What is done with it next, where a key can be pressed.
fn is_keystroke_or_told(keys: &str) -> bool {
    match parse_keystroke(keys) {
        Ok(stroke) => !stroke.keys.is_empty() && stroke.keys.len() + stroke.modifiers.len() <= 32,
        Err(said) => !said.chars().any(char::is_control),
    }
}

fn is_bounded(permit: &Permit) -> bool {
    let in_time = |wait: &Duration| *wait <= Duration::from_millis(MAX_WAIT_MS.into());
    match permit {
        Permit::Connect { endpoint, wait } => endpoint.to_string() == HOST && in_time(wait),
        Permit::DatagramSend { endpoint, payload } => {
            endpoint.to_string() == DATAGRAMS && payload.len() <= MAX_DATAGRAM
        }
        Permit::DatagramReceive { endpoint, wait } => endpoint.to_string() == DATAGRAMS && in_time(wait),
        Permit::MidiSend { port, message } => {
            port == "Synth" && !matches!(message, MidiMessage::SysEx(bytes) if bytes.len() > MAX_MIDI)
        }
        Permit::Run { program, arguments, wait } => {
            let bytes: usize = arguments.iter().map(String::len).sum();
            let no_nul = arguments.iter().all(|argument| !argument.contains('\0'));
            program == "git"
                && arguments.len() <= MAX_ARGUMENTS
                && bytes <= MAX_ARGUMENT_BYTES
                && no_nul
                && in_time(wait)
        }
        Permit::Keystroke(keys) => keys.len() <= MAX_TEXT && is_keystroke_or_told(keys),
        Permit::Text(text) => text.len() <= MAX_TEXT && !text.contains('\u{1b}'),
        Permit::Notify { title, body } => title.len() <= MAX_TITLE && body.len() <= MAX_TEXT,
        Permit::Emit { event, value } => {
            let shown = !event.trim().is_empty() && !event.chars().any(char::is_control);
            shown && event.len() <= MAX_EVENT_NAME && value.len() <= MAX_EVENT_VALUE
        }
        Permit::Mode(name) => name.len() <= MAX_TARGET,
        Permit::Light { .. } | Permit::Mouse(_) | Permit::System(_) | Permit::TimerSet(_) => true,
        Permit::TimerCancel(_) | Permit::Usage | Permit::Roots => true,
    }
}

fuzz_target!(|body: &[u8]| {
    let Ok(HostRequest { call, .. }) = decode(body) else { return };
    assert!(describe(&call).target.chars().count() <= MAX_TARGET);
    // nothing is granted: what no grant is needed for, and no more
    let without = permit(&Grants::default(), call.clone(), &|_| Ok("Synth".to_owned()));
    match permit(&GRANTS, call, &|_| Ok("Synth".to_owned())) {
        Ok(permit) => {
            assert!(is_bounded(&permit), "{permit:?}");
            assert!(without.is_err() || without == Ok(permit));
        }
        Err(refusal) => {
            assert!(without.is_err());
            assert!(!refusal.message.chars().any(char::is_control), "{}", refusal.message);
        }
    }
});
