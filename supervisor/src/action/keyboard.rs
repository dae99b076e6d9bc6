//! Where keys are sent: the kernel's uinput where permitted, else an X server.

use super::keys::Key;
use super::uinput::Uinput;
use super::x11::X11;
use crate::midi::seq::group_of;
use midimon_shared::host::Mouse;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io;
use std::path::Path;

/// Sends key events somewhere.
pub(super) trait Keyboard: Send {
    /// What it is called in the status.
    fn name(&self) -> &'static str;

    /// Presses or releases a key.
    fn set(&mut self, key: Key, down: bool) -> Result<(), KeyboardError>;

    /// Whether it can type this character.
    fn can_type(&self, character: char) -> bool;

    /// Types a character that it can type.
    fn type_char(&mut self, character: char) -> Result<(), KeyboardError>;

    /// Moves, clicks or turns the mouse that belongs to it.
    fn mouse(&mut self, mouse: Mouse) -> Result<(), KeyboardError>;
}

/// Keys cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum KeyboardError {
    /// There is no way to send keys at all.
    #[error("keys cannot be sent: {uinput}; {x11}")]
    NoWay {
        /// Why not by uinput, and how to change that.
        uinput: String,
        /// Why not by X11.
        x11: String,
    },
    /// A character that a US keyboard has no key for, and no X server.
    #[error("'{0}' cannot be typed through /dev/uinput, which knows the keys of a US keyboard only; X11 can type it")]
    NoKey(char),
    /// A key that a US keyboard does not have.
    #[error("the key \"{0}\" cannot be sent through /dev/uinput; X11 can send it")]
    NoCode(Key),
    /// It was sent and refused.
    #[error("sending keys through {0} failed: {1}")]
    Failed(&'static str, String),
}

/// Which way keys go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyboardChoice {
    /// uinput where permitted, else X11.
    #[default]
    Auto,
    /// uinput or not at all.
    Uinput,
    /// X11 or not at all.
    X11,
}

impl KeyboardChoice {
    /// What the environment variable `MIDIMON_KEYS` says: `uinput`, `x11`, or nothing.
    #[must_use]
    pub fn from_env() -> Self {
        match std::env::var("MIDIMON_KEYS").as_deref() {
            Ok("uinput") => Self::Uinput,
            Ok("x11") => Self::X11,
            _ => Self::Auto,
        }
    }
}

/// The ways that are open.
#[derive(Default)]
pub(super) struct Keyboards {
    first: Option<Box<dyn Keyboard>>,
    /// For characters that the first cannot type.
    second: Option<Box<dyn Keyboard>>,
}

impl Keyboards {
    /// Opens what there is.
    pub fn open(choice: KeyboardChoice) -> Result<Self, KeyboardError> {
        let boxed = |keyboard: X11| Box::new(keyboard) as Box<dyn Keyboard>;
        let uinput = match choice {
            KeyboardChoice::X11 => Err("uinput is switched off by MIDIMON_KEYS".to_owned()),
            _ => Uinput::open().map_err(|error| explain_uinput(&error, group_of(Path::new("/dev/uinput")))),
        };
        let x11 = match choice {
            KeyboardChoice::Uinput => Err("X11 is switched off by MIDIMON_KEYS".to_owned()),
            _ => X11::open().map(boxed),
        };
        match (uinput, x11) {
            (Ok(uinput), x11) => Ok(Self { first: Some(Box::new(uinput)), second: x11.ok() }),
            (Err(_), Ok(x11)) => Ok(Self { first: Some(x11), second: None }),
            (Err(uinput), Err(x11)) => Err(KeyboardError::NoWay { uinput, x11 }),
        }
    }

    /// The one for keys.
    pub fn for_keys(&mut self) -> Option<&mut Box<dyn Keyboard>> {
        self.first.as_mut()
    }

    /// The one that can type all of a text.
    pub fn for_text(&mut self, text: &str) -> Result<Option<&mut Box<dyn Keyboard>>, KeyboardError> {
        let missing = |keyboard: &dyn Keyboard| text.chars().find(|&character| !keyboard.can_type(character));
        let Some(first) = &mut self.first else { return Ok(None) };
        match (missing(&**first), &mut self.second) {
            (None, _) => Ok(Some(first)),
            (Some(_), Some(second)) if missing(&**second).is_none() => Ok(Some(second)),
            (Some(character), _) => Err(KeyboardError::NoKey(character)),
        }
    }

    #[cfg(test)]
    pub fn of(first: impl Keyboard + 'static) -> Self {
        Self { first: Some(Box::new(first)), second: None }
    }
}

/// How keys can be sent, the first way being the one that is used. Creates no keyboard.
///
/// # Errors
/// There is none, and how to change that.
pub fn usable_keyboards(choice: KeyboardChoice) -> Result<Vec<&'static str>, KeyboardError> {
    let device = Path::new("/dev/uinput");
    let uinput = match choice {
        KeyboardChoice::X11 => Err("uinput is switched off by MIDIMON_KEYS".to_owned()),
        _ => OpenOptions::new().write(true).open(device).map_err(|error| explain_uinput(&error, group_of(device))),
    };
    let x11 = match choice {
        KeyboardChoice::Uinput => Err("X11 is switched off by MIDIMON_KEYS".to_owned()),
        _ => X11::open().map(drop),
    };
    match (uinput, x11) {
        (Err(uinput), Err(x11)) => Err(KeyboardError::NoWay { uinput, x11 }),
        (uinput, x11) => {
            Ok([uinput.is_ok().then_some("/dev/uinput"), x11.is_ok().then_some("X11")].into_iter().flatten().collect())
        }
    }
}

/// Why uinput cannot be used, with the commands that change it.
fn explain_uinput(error: &io::Error, group: Option<String>) -> String {
    let user = crate::midi::seq::user();
    match (error.raw_os_error(), group) {
        (Some(libc::ENOENT | libc::ENODEV), _) => "/dev/uinput is missing (run: sudo modprobe uinput)".to_owned(),
        (Some(libc::EACCES | libc::EPERM), Some(group)) => format!(
            "no permission for /dev/uinput, which is for group {group} \
             (run: sudo usermod -aG {group} {user}, then log in again)"
        ),
        (Some(libc::EACCES | libc::EPERM), None) => format!(
            "no permission for /dev/uinput, which is for root alone; give it to group input \
             (run: echo 'KERNEL==\"uinput\", GROUP=\"input\", MODE=\"0660\", OPTIONS+=\"static_node=uinput\"' \
             | sudo tee /etc/udev/rules.d/60-midimon.rules && sudo udevadm control --reload && \
             sudo udevadm trigger /dev/uinput && sudo usermod -aG input {user}, then log in again)"
        ),
        _ => format!("/dev/uinput cannot be used ({error})"),
    }
}

/// Whether this variable names a display.
pub(super) fn is_set(variable: Option<&OsStr>) -> bool {
    variable.is_some_and(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Only(&'static str);

    impl Keyboard for Only {
        fn name(&self) -> &'static str {
            self.0
        }
        fn set(&mut self, _: Key, _: bool) -> Result<(), KeyboardError> {
            Ok(())
        }
        fn can_type(&self, character: char) -> bool {
            self.0.contains(character)
        }
        fn type_char(&mut self, _: char) -> Result<(), KeyboardError> {
            Ok(())
        }
        fn mouse(&mut self, _: Mouse) -> Result<(), KeyboardError> {
            Ok(())
        }
    }

    #[test]
    fn a_text_goes_whole_to_the_first_keyboard_that_can_type_all_of_it() {
        let mut both = Keyboards { first: Some(Box::new(Only("abc"))), second: Some(Box::new(Only("abcé"))) };
        assert_eq!(both.for_text("abc").unwrap().unwrap().name(), "abc");
        assert_eq!(both.for_text("aé").unwrap().unwrap().name(), "abcé");
        assert!(matches!(both.for_text("a€"), Err(KeyboardError::NoKey('€'))));
        assert!(matches!(Keyboards::of(Only("abc")).for_text("é"), Err(KeyboardError::NoKey('é'))));
    }

    #[test]
    fn each_cause_is_told_with_its_remedy() {
        let explained =
            |errno, group: Option<&str>| explain_uinput(&io::Error::from_raw_os_error(errno), group.map(str::to_owned));
        assert!(explained(libc::ENOENT, None).contains("sudo modprobe uinput"));
        let denied = explained(libc::EACCES, None);
        assert!(denied.contains("60-midimon.rules") && denied.contains("usermod -aG input"), "{denied}");
        let denied = explained(libc::EACCES, Some("plugdev"));
        assert!(denied.contains("usermod -aG plugdev") && !denied.contains("udev/rules"), "{denied}");
        assert!(explained(libc::EIO, None).contains("Input/output error"));
    }
}
