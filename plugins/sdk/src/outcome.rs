//! What comes of a call that went well.

use crate::{Context, Error, Host, Light, Params, Plugin};
use std::fmt::{self, Display, Formatter};

/// What a call that went well has to say, and what it wants done.
///
/// Effects are done after `handle` has returned, one after the other, each as the function of
/// [`Host`] that does the same: checked against the grants and written to the audit log. The first
/// that is refused ends the call with its reason; those before it are done.
///
/// ```
/// use midimon_plugin::test::{Call, Driver, Request};
/// use midimon_plugin::{Context, Error, Light, Metadata, Outcome, Params, Plugin};
///
/// /// Lights the pad that was pressed, and tells others.
/// #[derive(Default)]
/// struct Follow;
///
/// impl Plugin for Follow {
///     fn describe() -> Metadata {
///         Metadata { name: "Follow", version: "1.0.0", description: "Lights the pad that was pressed" }
///     }
///     fn handle(&mut self, _action: &str, _params: &Params<'_>, context: &Context<'_>) -> Result<Outcome, Error> {
///         let note = context.note().ok_or_else(|| Error::new("only a pad can be lit"))?;
///         let answer = Outcome::answer(format!("pad {note} is lit"));
///         Ok(answer.set_led("pads", 1, Light::Note(note), 127).emit("lit", note.to_string()))
///     }
/// }
///
/// let mut follow = Driver::<Follow>::start("{}").unwrap();
/// assert_eq!(follow.call(&Call::new("follow").note(36, 100)).unwrap().answer.unwrap(), "pad 36 is lit");
/// assert_eq!(follow.requests()[1], Request::Emit { event: "lit".into(), value: "36".into() });
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// A text for people (at most 4096 bytes of it are kept).
    pub answer: Option<String>,
    /// What is to be done, in this order.
    pub effects: Vec<Effect>,
}

/// Something done after a call, as the function of [`Host`] that it names would.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// [`Host::midi_send`]. Grant `midi:PORT`.
    SendMidi {
        /// The output.
        port: String,
        /// One whole message.
        message: Vec<u8>,
    },
    /// [`Host::set_light`]. Grant `midi` for the device's output.
    SetLed {
        /// Its alias in the configuration.
        device: String,
        /// 1 to 16.
        channel: u8,
        /// Which.
        light: Light,
        /// Value or colour, 0 (off) to 127.
        value: u8,
    },
    /// [`Host::set_mode`]. Grant `mode`.
    ModeChange {
        /// The mode that becomes the active one.
        name: String,
    },
    /// [`Host::notify`]. Needs no grant.
    Notify {
        /// At most 80 bytes.
        title: String,
        /// At most 1024 bytes.
        body: String,
    },
    /// [`Host::emit`]. Needs no grant.
    Emit {
        /// Its name, at most 64 bytes.
        event: String,
        /// At most 1024 bytes.
        value: String,
    },
}

impl Outcome {
    /// Nothing to say and nothing to do.
    #[must_use]
    pub const fn ok() -> Self {
        Self { answer: None, effects: Vec::new() }
    }

    /// Says something to people.
    #[must_use]
    pub fn answer(text: impl Into<String>) -> Self {
        Self { answer: Some(text.into()), effects: Vec::new() }
    }

    /// And does this.
    #[must_use]
    pub fn with(mut self, effect: Effect) -> Self {
        self.effects.push(effect);
        self
    }

    /// And sends a MIDI message to an output.
    #[must_use]
    pub fn send_midi(self, port: impl Into<String>, message: impl Into<Vec<u8>>) -> Self {
        self.with(Effect::SendMidi { port: port.into(), message: message.into() })
    }

    /// And sets a light of a device.
    #[must_use]
    pub fn set_led(self, device: impl Into<String>, channel: u8, light: Light, value: u8) -> Self {
        self.with(Effect::SetLed { device: device.into(), channel, light, value })
    }

    /// And makes a mode the active one.
    #[must_use]
    pub fn change_mode(self, name: impl Into<String>) -> Self {
        self.with(Effect::ModeChange { name: name.into() })
    }

    /// And shows a notification.
    #[must_use]
    pub fn notify(self, title: impl Into<String>, body: impl Into<String>) -> Self {
        self.with(Effect::Notify { title: title.into(), body: body.into() })
    }

    /// And emits an event.
    #[must_use]
    pub fn emit(self, event: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(Effect::Emit { event: event.into(), value: value.into() })
    }
}

impl Effect {
    fn perform(&self, host: Host) -> Result<(), Error> {
        let done = match self {
            Self::SendMidi { port, message } => host.midi_send(port, message),
            Self::SetLed { device, channel, light, value } => host.set_light(device, *channel, *light, *value),
            Self::ModeChange { name } => host.set_mode(name),
            Self::Notify { title, body } => host.notify(title, body),
            Self::Emit { event, value } => host.emit(event, value),
        };
        done.map_err(|error| Error::new(format_args!("{self}: {error}")))
    }
}

/// Which it is, in the words of a failed call.
impl Display for Effect {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::SendMidi { port, .. } => write!(formatter, "MIDI to {port:?}"),
            Self::SetLed { device, .. } => write!(formatter, "a light of {device:?}"),
            Self::ModeChange { name } => write!(formatter, "mode {name:?}"),
            Self::Notify { title, .. } => write!(formatter, "notification {title:?}"),
            Self::Emit { event, .. } => write!(formatter, "event {event:?}"),
        }
    }
}

/// Performs one call, effects included; what it answers.
pub(crate) fn perform<P: Plugin>(
    plugin: &mut P,
    host: Host,
    action: &str,
    params: &Params<'_>,
    context: &Context<'_>,
) -> Result<Option<String>, Error> {
    let Outcome { answer, effects } = plugin.handle(action, params, context)?;
    effects.iter().try_for_each(|effect| effect.perform(host))?;
    Ok(answer)
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use super::*;
    use crate::test::{Answer, Call, Driver, Request};
    use crate::{Metadata, Refusal};

    #[derive(Default)]
    struct All;

    impl Plugin for All {
        fn describe() -> Metadata {
            Metadata { name: "All", version: "1.0.0", description: "Every effect" }
        }

        fn handle(&mut self, action: &str, _params: &Params<'_>, _context: &Context<'_>) -> Result<Outcome, Error> {
            let all = Outcome::answer("done")
                .send_midi("Synth", [0xB0, 7, 99])
                .set_led("pads", 2, Light::Control(3), 4)
                .change_mode("Live")
                .notify("title", "body")
                .emit("scene", "Live");
            if action == "fail" { Err(Error::new("told to")) } else { Ok(all) }
        }
    }

    fn requests() -> Vec<Request> {
        vec![
            Request::MidiSend { port: "Synth".into(), message: vec![0xB0, 7, 99] },
            Request::SetLight { device: "pads".into(), channel: 2, light: Light::Control(3), value: 4 },
            Request::SetMode("Live".into()),
            Request::Notify { title: "title".into(), body: "body".into() },
            Request::Emit { event: "scene".into(), value: "Live".into() },
        ]
    }

    #[test]
    fn every_effect_is_asked_for_once_and_in_order_after_a_call_that_went_well() {
        let mut plugin = Driver::<All>::start("{}").unwrap();
        assert_eq!(plugin.call(&Call::new("x")).unwrap().answer.as_deref(), Some("done"));
        assert_eq!(plugin.requests(), requests());
    }

    #[test]
    fn a_call_that_failed_has_no_effects() {
        let mut plugin = Driver::<All>::start("{}").unwrap();
        assert_eq!(plugin.call(&Call::new("fail")).unwrap_err().message(), "told to");
        assert_eq!(plugin.requests(), []);
    }

    #[test]
    fn a_refused_effect_fails_the_call_by_name_and_ends_it() {
        let mut plugin = Driver::<All>::start("{}").unwrap();
        plugin.answers(|request| match request {
            Request::SetMode(_) => Answer::Refused(Refusal::NotGranted, "not granted: 'mode'".into()),
            _ => Answer::Done,
        });
        let error = plugin.call(&Call::new("x")).unwrap_err();
        assert_eq!((error.message(), error.code()), ("mode \"Live\": not granted: 'mode'", Error::GENERAL));
        assert_eq!(plugin.requests(), requests()[..3], "the refused one is the last that was tried");
    }
}
