//! Keys through an X server, by its XTEST extension. Types any character.

use super::keyboard::{Keyboard, KeyboardError, is_set};
use super::keys::{Key, keysym};
use enigo::{Direction, Enigo, Keyboard as _, Settings};

pub(super) struct X11(Enigo);

impl X11 {
    /// Connects to the display that `DISPLAY` names; the error says why not.
    pub fn open() -> Result<Self, String> {
        if !is_set(std::env::var_os("DISPLAY").as_deref()) {
            return Err("X11 is not there either (DISPLAY is not set)".to_owned());
        }
        let enigo = Enigo::new(&Settings::default());
        enigo.map(Self).map_err(|error| format!("the X server that DISPLAY names cannot be used ({error})"))
    }

    fn send(&mut self, keysym: u32, direction: Direction) -> Result<(), KeyboardError> {
        let sent = self.0.key(enigo::Key::Other(keysym), direction);
        sent.map_err(|error| KeyboardError::Failed(self.name(), error.to_string()))
    }
}

impl Keyboard for X11 {
    fn name(&self) -> &'static str {
        "X11"
    }

    fn set(&mut self, key: Key, down: bool) -> Result<(), KeyboardError> {
        self.send(key.keysym(), if down { Direction::Press } else { Direction::Release })
    }

    fn can_type(&self, character: char) -> bool {
        matches!(character, '\n' | '\t') || !character.is_control()
    }

    fn type_char(&mut self, character: char) -> Result<(), KeyboardError> {
        self.send(keysym(character), Direction::Click)
    }
}
