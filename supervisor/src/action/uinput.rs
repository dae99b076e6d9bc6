//! Keys and the mouse through the kernel: a virtual keyboard with US layout, and a virtual mouse.

use super::keyboard::{Keyboard, KeyboardError};
use super::keys::{Key, Stroke, all_codes, us_stroke};
use evdev::uinput::VirtualDevice;
use evdev::{AttributeSet, EventType, InputEvent, KeyCode, RelativeAxisCode};
use midimon_shared::host::{Mouse, MouseButton};
use std::io;
use std::time::Duration;

/// How the device calls itself.
pub const DEVICE_NAME: &str = "midimon keyboard";
/// How the mouse does.
pub const MOUSE_NAME: &str = "midimon mouse";
/// Programs need this long to notice a new keyboard and to listen to it.
const SETTLE: Duration = Duration::from_millis(300);
/// Between two events: some programs lose keys that follow each other at once.
const GAP: Duration = Duration::from_millis(1);

pub(super) struct Uinput {
    device: VirtualDevice,
    /// Shift is held as a key of its own.
    shift: bool,
    /// Created for the first use: few ever need one.
    mouse: Option<VirtualDevice>,
}

impl Uinput {
    /// Creates the keyboard, which the whole system then sees.
    pub fn open() -> io::Result<Self> {
        let keys: AttributeSet<KeyCode> = all_codes().collect();
        let device = VirtualDevice::builder()?.name(DEVICE_NAME).with_keys(&keys)?.build()?;
        std::thread::sleep(SETTLE);
        Ok(Self { device, shift: false, mouse: None })
    }

    fn emit(&mut self, code: KeyCode, down: bool) -> Result<(), KeyboardError> {
        let event = InputEvent::new(EventType::KEY.0, code.0, i32::from(down));
        self.device.emit(&[event]).map_err(|error| KeyboardError::Failed(self.name(), error.to_string()))?;
        std::thread::sleep(GAP);
        Ok(())
    }

    fn open_mouse() -> io::Result<VirtualDevice> {
        let buttons: AttributeSet<KeyCode> =
            [KeyCode::BTN_LEFT, KeyCode::BTN_MIDDLE, KeyCode::BTN_RIGHT].into_iter().collect();
        let axes: AttributeSet<RelativeAxisCode> = [
            RelativeAxisCode::REL_X,
            RelativeAxisCode::REL_Y,
            RelativeAxisCode::REL_WHEEL,
            RelativeAxisCode::REL_HWHEEL,
        ]
        .into_iter()
        .collect();
        let mouse =
            VirtualDevice::builder()?.name(MOUSE_NAME).with_keys(&buttons)?.with_relative_axes(&axes)?.build()?;
        std::thread::sleep(SETTLE);
        Ok(mouse)
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

    fn mouse(&mut self, mouse: Mouse) -> Result<(), KeyboardError> {
        let failed = |error: io::Error| KeyboardError::Failed("/dev/uinput", error.to_string());
        let device = match &mut self.mouse {
            Some(device) => device,
            none => none.insert(Self::open_mouse().map_err(failed)?),
        };
        let turn = |axis: RelativeAxisCode, by: i32| InputEvent::new(EventType::RELATIVE.0, axis.0, by);
        match mouse {
            Mouse::Move { dx, dy } => {
                device.emit(&[turn(RelativeAxisCode::REL_X, dx.into()), turn(RelativeAxisCode::REL_Y, dy.into())])
            }
            Mouse::Scroll { dx, dy } => device
                .emit(&[turn(RelativeAxisCode::REL_HWHEEL, dx.into()), turn(RelativeAxisCode::REL_WHEEL, dy.into())]),
            Mouse::Click(button) => {
                let code = match button {
                    MouseButton::Left => KeyCode::BTN_LEFT,
                    MouseButton::Middle => KeyCode::BTN_MIDDLE,
                    MouseButton::Right => KeyCode::BTN_RIGHT,
                };
                let set = |down| InputEvent::new(EventType::KEY.0, code.0, down);
                device.emit(&[set(1)]).and_then(|()| device.emit(&[set(0)]))
            }
        }
        .map_err(failed)?;
        std::thread::sleep(GAP);
        Ok(())
    }
}
