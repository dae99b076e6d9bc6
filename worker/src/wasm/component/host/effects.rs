//! Keys, mouse, notifications, lights, modes, and the system's own controls.

use super::within;
use crate::wasm::component::bindings::midimon::plugin::{effects, system_control};
use crate::wasm::component::state::{Refused, State, invalid};
use midimon_shared::host::{HostCall, Light, MAX_TARGET, MAX_TEXT, MAX_TITLE, Mouse, MouseButton, SystemControl};

impl effects::Host for State {
    fn keystroke(&mut self, keys: String) -> Result<(), Refused> {
        self.ask(HostCall::Keystroke(within("keystroke", keys, MAX_TEXT)?)).map(drop)
    }

    fn type_text(&mut self, text: String) -> Result<(), Refused> {
        self.ask(HostCall::Text(within("text", text, MAX_TEXT)?)).map(drop)
    }

    fn mouse(&mut self, action: effects::MouseAction) -> Result<(), Refused> {
        let mouse = match action {
            effects::MouseAction::Move(effects::Distance { x, y }) => Mouse::Move { dx: x, dy: y },
            effects::MouseAction::Scroll(effects::Distance { x, y }) => {
                let notches = |count| i8::try_from(count).map_err(|_| invalid("the wheel is turned too far"));
                Mouse::Scroll { dx: notches(x)?, dy: notches(y)? }
            }
            effects::MouseAction::Click(button) => Mouse::Click(match button {
                effects::Button::Left => MouseButton::Left,
                effects::Button::Middle => MouseButton::Middle,
                effects::Button::Right => MouseButton::Right,
            }),
        };
        self.ask(HostCall::Mouse(mouse)).map(drop)
    }

    fn notify(&mut self, title: String, body: String) -> Result<(), Refused> {
        let title = within("title", title, MAX_TITLE)?;
        let body = within("body", body, MAX_TEXT)?;
        self.ask(HostCall::Notify { title, body }).map(drop)
    }

    fn set_light(&mut self, device: String, channel: u8, light: effects::Light, value: u8) -> Result<(), Refused> {
        let device = within("device's alias", device, MAX_TARGET)?;
        let light = match light {
            effects::Light::Note(number) => Light::Note(number),
            effects::Light::Control(number) => Light::Control(number),
        };
        self.ask(HostCall::SetLight { device, channel, light, value }).map(drop)
    }

    fn set_mode(&mut self, name: String) -> Result<(), Refused> {
        self.ask(HostCall::SetMode(within("mode's name", name, MAX_TARGET)?)).map(drop)
    }
}

impl system_control::Host for State {
    fn press(&mut self, action: system_control::Action) -> Result<(), Refused> {
        let control = match action {
            system_control::Action::VolumeUp => SystemControl::VolumeUp,
            system_control::Action::VolumeDown => SystemControl::VolumeDown,
            system_control::Action::Mute => SystemControl::Mute,
            system_control::Action::PlayPause => SystemControl::PlayPause,
            system_control::Action::Stop => SystemControl::Stop,
            system_control::Action::Next => SystemControl::Next,
            system_control::Action::Previous => SystemControl::Previous,
            system_control::Action::BrightnessUp => SystemControl::BrightnessUp,
            system_control::Action::BrightnessDown => SystemControl::BrightnessDown,
        };
        self.ask(HostCall::System(control)).map(drop)
    }
}
