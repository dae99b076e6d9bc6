//! The functions midimon gives to components.

use super::Stream;
use super::bindings::midimon::plugin::{
    data, effects, events, log, midi, net, programs, system_control, timers, types,
};
use crate::{HostError, Level, Light, Mouse, Ran, Refusal, System, Usage};
use std::path::PathBuf;

/// They are the component's imports: there is nothing to hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw;

pub(super) fn refused(refusal: types::Refusal) -> HostError {
    use types::Refusal as Wit;
    let (kind, message) = match refusal {
        Wit::NotGranted(message) => (Refusal::NotGranted, message),
        Wit::Invalid(message) => (Refusal::Invalid, message),
        Wit::TooMany(message) => (Refusal::TooMany, message),
        Wit::TimedOut(message) => (Refusal::TimedOut, message),
        Wit::Failed(message) => (Refusal::Failed, message),
    };
    HostError::new(kind, message)
}

impl Raw {
    pub(crate) fn log(&self, level: Level, message: &str) {
        let level = match level {
            Level::Error => log::Level::Error,
            Level::Warn => log::Level::Warn,
            Level::Info => log::Level::Info,
            Level::Debug => log::Level::Debug,
        };
        log::write(level, message);
    }

    /// `/` is there for those who were granted it.
    pub(crate) fn data_dir(&self) -> Option<PathBuf> {
        let root = PathBuf::from("/");
        root.is_dir().then_some(root)
    }

    pub(crate) fn connect(&self, target: &str, timeout_ms: u32) -> Result<Stream, HostError> {
        net::Connection::connect(target, timeout_ms).map(Stream).map_err(refused)
    }

    #[cfg(feature = "http")]
    pub(crate) fn connect_tls(&self, target: &str, timeout_ms: u32) -> Result<Stream, HostError> {
        net::Connection::connect_tls(target, timeout_ms).map(Stream).map_err(refused)
    }

    pub(crate) fn datagram_send(&self, target: &str, payload: &[u8]) -> Result<(), HostError> {
        net::send_datagram(target, payload).map_err(refused)
    }

    pub(crate) fn datagram_receive(&self, target: &str, timeout_ms: u32) -> Result<Vec<u8>, HostError> {
        net::receive_datagram(target, timeout_ms).map_err(refused)
    }

    pub(crate) fn midi_send(&self, port: &str, message: &[u8]) -> Result<(), HostError> {
        midi::send(port, message).map_err(refused)
    }

    pub(crate) fn run(&self, program: &str, arguments: &[&str], timeout_ms: u32) -> Result<Ran, HostError> {
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let programs::Output { code, stdout, stderr } =
            programs::run(program, &arguments, timeout_ms).map_err(refused)?;
        Ok(Ran { code, stdout, stderr })
    }

    pub(crate) fn keystroke(&self, keys: &str) -> Result<(), HostError> {
        effects::keystroke(keys).map_err(refused)
    }

    pub(crate) fn type_text(&self, text: &str) -> Result<(), HostError> {
        effects::type_text(text).map_err(refused)
    }

    pub(crate) fn mouse(&self, mouse: Mouse) -> Result<(), HostError> {
        let action = match mouse {
            Mouse::Move(x, y) => effects::MouseAction::Move(effects::Distance { x, y }),
            Mouse::Scroll(x, y) => effects::MouseAction::Scroll(effects::Distance { x: x.into(), y: y.into() }),
            Mouse::Left => effects::MouseAction::Click(effects::Button::Left),
            Mouse::Middle => effects::MouseAction::Click(effects::Button::Middle),
            Mouse::Right => effects::MouseAction::Click(effects::Button::Right),
        };
        effects::mouse(action).map_err(refused)
    }

    pub(crate) fn system(&self, what: System) -> Result<(), HostError> {
        use system_control::Action;
        let action = match what {
            System::VolumeUp => Action::VolumeUp,
            System::VolumeDown => Action::VolumeDown,
            System::Mute => Action::Mute,
            System::PlayPause => Action::PlayPause,
            System::Stop => Action::Stop,
            System::Next => Action::Next,
            System::Previous => Action::Previous,
            System::BrightnessUp => Action::BrightnessUp,
            System::BrightnessDown => Action::BrightnessDown,
        };
        system_control::press(action).map_err(refused)
    }

    pub(crate) fn notify(&self, title: &str, body: &str) -> Result<(), HostError> {
        effects::notify(title, body).map_err(refused)
    }

    pub(crate) fn emit(&self, event: &str, value: &str) -> Result<(), HostError> {
        events::emit(event, value).map_err(refused)
    }

    pub(crate) fn set_light(&self, device: &str, channel: u8, light: Light, value: u8) -> Result<(), HostError> {
        let light = match light {
            Light::Note(note) => effects::Light::Note(note),
            Light::Control(control) => effects::Light::Control(control),
        };
        effects::set_light(device, channel, light, value).map_err(refused)
    }

    pub(crate) fn set_mode(&self, name: &str) -> Result<(), HostError> {
        effects::set_mode(name).map_err(refused)
    }

    pub(crate) fn timer(&self, id: u32, ms: u32, every: bool, action: &str, params: &str) -> Result<(), HostError> {
        let set = if every { timers::every } else { timers::after };
        set(id, ms, action, params).map_err(refused)
    }

    pub(crate) fn cancel(&self, id: u32) -> Result<(), HostError> {
        timers::cancel(id).map_err(refused)
    }

    pub(crate) fn usage(&self) -> Result<Usage, HostError> {
        let data::Quota { used_bytes, max_bytes, used_files, max_files } = data::usage().map_err(refused)?;
        Ok(Usage { used_bytes, max_bytes, used_files, max_files })
    }
}
