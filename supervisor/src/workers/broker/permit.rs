//! From a request and the grants in force to a permit, or a refusal. Pure.

use super::endpoint::{Endpoint, InvalidEndpoint, Transport};
use super::lights::Lamp;
use super::midi::MidiMessage;
use super::refusal;
use super::timers::{self, TimerOrder};
use crate::plugins::Grants;
use midimon_shared::capability::CapabilityKind;
use midimon_shared::host::{
    HostCall, HostRefusal, MAX_ARGUMENT_BYTES, MAX_ARGUMENTS, MAX_DATAGRAM, MAX_EVENT_NAME, MAX_EVENT_VALUE, MAX_MIDI,
    MAX_TARGET, MAX_TEXT, MAX_TITLE, MAX_WAIT_MS, Mouse, RefusalKind, SystemControl,
};
use midimon_shared::{Channel, U7};
use std::time::Duration;

/// The output of a device, by the device's alias; the refusal is for devices that have none.
pub type OutputOf<'o> = &'o dyn Fn(&str) -> Result<String, HostRefusal>;

/// A request that was checked: nothing in it need be looked at again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // as in `HostCall`
pub enum Permit {
    Connect { endpoint: Endpoint, wait: Duration },
    DatagramSend { endpoint: Endpoint, payload: Vec<u8> },
    DatagramReceive { endpoint: Endpoint, wait: Duration },
    MidiSend { port: String, message: MidiMessage },
    Run { program: String, arguments: Vec<String>, wait: Duration },
    Keystroke(String),
    Text(String),
    Mouse(Mouse),
    System(SystemControl),
    Notify { title: String, body: String },
    Emit { event: String, value: String },
    Light { lamp: Lamp, value: U7 },
    Mode(String),
    TimerSet(TimerOrder),
    TimerCancel(u32),
    Usage,
    Roots,
}

/// Whether this may be done.
///
/// # Errors
/// Why not, in words for the plugin's author.
pub fn permit(grants: &Grants, call: HostCall, output_of: OutputOf<'_>) -> Result<Permit, HostRefusal> {
    match call {
        HostCall::Connect { target, timeout_ms } => {
            let endpoint = endpoint(grants, &target, Transport::Tcp)?;
            Ok(Permit::Connect { endpoint, wait: wait(timeout_ms)? })
        }
        HostCall::DatagramSend { target, payload } => {
            let endpoint = endpoint(grants, &target, Transport::Udp)?;
            at_most("the datagram", payload.len(), MAX_DATAGRAM)?;
            Ok(Permit::DatagramSend { endpoint, payload })
        }
        HostCall::DatagramReceive { target, timeout_ms } => {
            let endpoint = endpoint(grants, &target, Transport::Udp)?;
            Ok(Permit::DatagramReceive { endpoint, wait: wait(timeout_ms)? })
        }
        HostCall::MidiSend { port, message } => {
            named(grants, CapabilityKind::Midi, &port)?;
            at_most("the MIDI message", message.len(), MAX_MIDI)?;
            let message =
                MidiMessage::parse(&message).ok_or_else(|| invalid("it is not one whole channel message or SysEx"))?;
            Ok(Permit::MidiSend { port, message })
        }
        HostCall::Run { program, arguments, timeout_ms } => {
            named(grants, CapabilityKind::Subprocess, &program)?;
            check_arguments(&arguments)?;
            Ok(Permit::Run { program, arguments, wait: wait(timeout_ms)? })
        }
        HostCall::Keystroke(keys) => {
            any(grants, CapabilityKind::Input)?;
            at_most("the keystroke", keys.len(), MAX_TEXT)?;
            Ok(Permit::Keystroke(keys))
        }
        HostCall::Text(text) => {
            any(grants, CapabilityKind::Input)?;
            at_most("the text", text.len(), MAX_TEXT)?;
            // an Escape or a Backspace is a key, not a text
            match text.chars().find(|&character| character.is_control() && !matches!(character, '\n' | '\t')) {
                Some(control) => Err(invalid(format!("{} cannot be typed as text", control.escape_unicode()))),
                None => Ok(Permit::Text(text)),
            }
        }
        HostCall::Mouse(mouse) => {
            any(grants, CapabilityKind::Input)?;
            Ok(Permit::Mouse(mouse))
        }
        HostCall::System(control) => {
            any(grants, CapabilityKind::SystemControl)?;
            Ok(Permit::System(control))
        }
        HostCall::Notify { title, body } => {
            at_most("the title", title.len(), MAX_TITLE)?;
            at_most("the body", body.len(), MAX_TEXT)?;
            Ok(Permit::Notify { title, body })
        }
        HostCall::Emit { event, value } => {
            at_most("the event's name", event.len(), MAX_EVENT_NAME)?;
            at_most("the event's value", value.len(), MAX_EVENT_VALUE)?;
            // mappings could not name it
            if event.trim().is_empty() || event.chars().any(char::is_control) {
                return Err(invalid("the event's name is blank or has control characters"));
            }
            Ok(Permit::Emit { event, value })
        }
        HostCall::SetLight { device, channel, light, value } => {
            at_most("the device's alias", device.len(), MAX_TARGET)?;
            let port = output_of(&device)?;
            named(grants, CapabilityKind::Midi, &port)?;
            let channel =
                Channel::new(channel).ok_or_else(|| invalid(format!("there is no channel {channel}: 1 to 16")))?;
            let lamp = Lamp::new(port, channel, light).ok_or_else(|| invalid("lights are numbered from 0 to 127"))?;
            let value = U7::new(value).ok_or_else(|| invalid("a light's value is 0 to 127"))?;
            Ok(Permit::Light { lamp, value })
        }
        HostCall::SetMode(name) => {
            any(grants, CapabilityKind::Mode)?;
            at_most("the mode's name", name.len(), MAX_TARGET)?;
            Ok(Permit::Mode(name))
        }
        HostCall::TimerSet { id, ms, every, action, params } => {
            timers::order(id, ms, every, &action, &params).map(Permit::TimerSet)
        }
        HostCall::TimerCancel { id } => Ok(Permit::TimerCancel(id)),
        HostCall::Usage => Ok(Permit::Usage),
        HostCall::TlsRoots => Ok(Permit::Roots),
    }
}

pub(super) fn invalid(message: impl Into<String>) -> HostRefusal {
    refusal(RefusalKind::Invalid, message)
}

fn not_granted(capability: &str) -> HostRefusal {
    refusal(
        RefusalKind::NotGranted,
        format!("'{capability}' is not granted: plugin.toml must ask for it, and the user grant it, word for word"),
    )
}

pub(super) fn at_most(what: &str, length: usize, most: usize) -> Result<(), HostRefusal> {
    if length <= most { Ok(()) } else { Err(invalid(format!("{what} has {length} bytes; {most} are the most"))) }
}

fn wait(timeout_ms: u32) -> Result<Duration, HostRefusal> {
    if timeout_ms <= MAX_WAIT_MS {
        Ok(Duration::from_millis(timeout_ms.into()))
    } else {
        Err(invalid(format!("a wait of {timeout_ms} ms; {MAX_WAIT_MS} are the most")))
    }
}

/// A kind of capability that has no target.
fn any(grants: &Grants, kind: CapabilityKind) -> Result<(), HostRefusal> {
    if grants.allows(kind) { Ok(()) } else { Err(not_granted(kind.as_str())) }
}

/// A target that is granted as it is written.
fn named(grants: &Grants, kind: CapabilityKind, target: &str) -> Result<(), HostRefusal> {
    at_most("the target", target.len(), MAX_TARGET)?;
    let is_it = grants.iter().any(|granted| granted.kind == kind && granted.target.as_deref() == Some(target));
    if is_it { Ok(()) } else { Err(not_granted(&format!("{kind}:{}", shown(target)))) }
}

/// A host and port, granted in whatever spelling that means the same.
fn endpoint(grants: &Grants, target: &str, transport: Transport) -> Result<Endpoint, HostRefusal> {
    at_most("the target", target.len(), MAX_TARGET)?;
    let wrong = |error: InvalidEndpoint| invalid(format!("'{}': {error}", shown(target)));
    let endpoint = Endpoint::requested(target, transport).map_err(wrong)?;
    let grants_it = |granted: &str| Endpoint::parse(granted).is_ok_and(|granted| granted == endpoint);
    let mut targets = grants.iter().filter(|granted| granted.kind == CapabilityKind::Network);
    if targets.any(|granted| granted.target.as_deref().is_some_and(grants_it)) {
        Ok(endpoint)
    } else {
        Err(not_granted(&format!("network:{endpoint}")))
    }
}

fn check_arguments(arguments: &[String]) -> Result<(), HostRefusal> {
    if arguments.len() > MAX_ARGUMENTS {
        return Err(invalid(format!("{} arguments; {MAX_ARGUMENTS} are the most", arguments.len())));
    }
    at_most("the arguments together", arguments.iter().map(String::len).sum(), MAX_ARGUMENT_BYTES)?;
    if arguments.iter().any(|argument| argument.contains('\0')) {
        return Err(invalid("an argument has a NUL byte"));
    }
    Ok(())
}

fn shown(target: &str) -> String {
    crate::workers::log::safe(target)
}

/// What a request is about, for the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// What it is called.
    pub what: &'static str,
    /// With whom or what.
    pub target: String,
    /// What a program is given.
    pub arguments: Vec<String>,
    /// How many bytes it sends.
    pub bytes: u64,
}

/// What a request is about. What is typed is the user's business, not the log's.
#[must_use]
pub fn describe(call: &HostCall) -> Subject {
    let size = |length: usize| length as u64;
    let arguments = match call {
        HostCall::Run { arguments, .. } => arguments.clone(),
        _ => Vec::new(),
    };
    let (what, target, bytes) = match call {
        HostCall::Connect { target, .. } => ("connect", target.as_str(), 0),
        HostCall::DatagramSend { target, payload } => ("datagram-send", target.as_str(), size(payload.len())),
        HostCall::DatagramReceive { target, .. } => ("datagram-receive", target.as_str(), 0),
        HostCall::MidiSend { port, message } => ("midi-send", port.as_str(), size(message.len())),
        HostCall::Run { program, arguments, .. } => {
            ("run", program.as_str(), size(arguments.iter().map(String::len).sum()))
        }
        HostCall::Keystroke(_) => ("keystroke", "", 0),
        HostCall::Text(text) => ("text", "", size(text.len())),
        HostCall::Mouse(_) => ("mouse", "", 0),
        HostCall::System(control) => {
            return Subject { what: "system", target: format!("{control:?}"), ..Subject::default() };
        }
        HostCall::Notify { title, body } => ("notify", title.as_str(), size(body.len())),
        HostCall::Emit { event, value } => ("emit", event.as_str(), size(value.len())),
        HostCall::SetLight { device, .. } => ("set-light", device.as_str(), 0),
        HostCall::SetMode(name) => ("set-mode", name.as_str(), 0),
        HostCall::TimerSet { action, params, .. } => ("timer-set", action.as_str(), size(params.len())),
        HostCall::TimerCancel { .. } => ("timer-cancel", "", 0),
        HostCall::Usage => ("usage", "", 0),
        HostCall::TlsRoots => ("tls-roots", "", 0),
    };
    Subject { what, target: target.chars().take(MAX_TARGET).collect(), arguments, bytes }
}

#[cfg(test)]
#[path = "permit_tests.rs"]
mod tests;
