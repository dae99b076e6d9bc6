//! Keys through the kernel: a virtual keyboard with US layout.

use super::keyboard::{Keyboard, KeyboardError};
use super::keys::{Key, Stroke, all_codes, us_stroke};
use evdev::uinput::VirtualDevice;
use evdev::{AttributeSet, EventType, InputEvent, KeyCode};
use std::io;
use std::time::Duration;

/// How the device calls itself.
pub const DEVICE_NAME: &str = "midimon keyboard";
/// Programs need this long to notice a new keyboard and to listen to it.
const SETTLE: Duration = Duration::from_millis(300);
/// Between two events: some programs lose keys that follow each other at once.
const GAP: Duration = Duration::from_millis(1);

pub(super) struct Uinput {
    device: VirtualDevice,
    /// Shift is held as a key of its own.
    shift: bool,
}

impl Uinput {
    /// Creates the keyboard, which the whole system then sees.
    pub fn open() -> io::Result<Self> {
        let keys: AttributeSet<KeyCode> = all_codes().collect();
        let device = VirtualDevice::builder()?.name(DEVICE_NAME).with_keys(&keys)?.build()?;
        std::thread::sleep(SETTLE);
        Ok(Self { device, shift: false })
    }

    fn emit(&mut self, code: KeyCode, down: bool) -> Result<(), KeyboardError> {
        let event = InputEvent::new(EventType::KEY.0, code.0, i32::from(down));
        self.device.emit(&[event]).map_err(|error| KeyboardError::Failed(self.name(), error.to_string()))?;
        std::thread::sleep(GAP);
        Ok(())
    }

    fn stroke(&mut self, Stroke { code, shift }: Stroke, down: bool) -> Result<(), KeyboardError> {
        let shift = shift && !self.shift;
        if shift && down {
            self.emit(KeyCode::KEY_LEFTSHIFT, true)?;
        }
        let result = self.emit(code, down);
        if shift && !down {
            self.emit(KeyCode::KEY_LEFTSHIFT, false)?;
        }
        result
    }
}

impl Keyboard for Uinput {
    fn name(&self) -> &'static str {
        "/dev/uinput"
    }

    fn set(&mut self, key: Key, down: bool) -> Result<(), KeyboardError> {
        let stroke = key.stroke().ok_or(KeyboardError::NoCode(key))?;
        self.stroke(stroke, down)?;
        if stroke.code == KeyCode::KEY_LEFTSHIFT {
            self.shift = down;
        }
        Ok(())
    }

    fn can_type(&self, character: char) -> bool {
        us_stroke(character).is_some()
    }

    fn type_char(&mut self, character: char) -> Result<(), KeyboardError> {
        let stroke = us_stroke(character).ok_or(KeyboardError::NoKey(character))?;
        self.stroke(stroke, true)?;
        self.stroke(stroke, false)
    }
}
