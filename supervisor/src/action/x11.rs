//! Keys through an X server, by its XTEST extension. Types any character.
//!
//! Enigo lends a spare key code to each character that the layout has no key of
//! its own for, capitals included, and when none is left it takes all of them
//! back at once. A program looks a key code up when it gets round to the event:
//! one that is behind then reads other characters, or none. So the codes are
//! given back here before enigo runs out, and not before programs have caught up.
//!
//! The first of our keys after another keyboard's makes programs read the whole
//! layout anew. Xlib does so in parts, and forgets a code that is lent meanwhile:
//! its character would not be read. So the first loan of a series waits for that.

mod pace;

use super::keyboard::{Keyboard, KeyboardError, is_set};
use super::keys::{Key, keysym};
use enigo::{Axis, Button, Coordinate, Direction, Enigo, Keyboard as _, Mouse as _, Settings};
use midimon_shared::host::{Mouse, MouseButton};
use pace::Pace;
use std::collections::HashSet;
use std::error::Error;
use std::time::Instant;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::ConnectionExt as _;

/// Spare codes kept for keys that are held while others are lent.
const RESERVE: usize = 8;
/// A key code that enigo never lends.
const NEVER_LENT: usize = 8;

pub(super) struct X11 {
    /// Gone only where it could not be opened again.
    enigo: Option<Enigo>,
    layout: Layout,
    /// Keysyms that enigo has lent a code to.
    lent: HashSet<u32>,
    /// Keys that are down.
    held: usize,
    pace: Pace,
}

impl X11 {
    /// Connects to the display that `DISPLAY` names; the error says why not.
    pub fn open() -> Result<Self, String> {
        if !is_set(std::env::var_os("DISPLAY").as_deref()) {
            return Err("X11 is not there either (DISPLAY is not set)".to_owned());
        }
        let unusable = |error: String| format!("the X server that DISPLAY names cannot be used ({error})");
        let (layout, enigo) = connect().map_err(|error| unusable(error.to_string()))?;
        Ok(Self { enigo: Some(enigo), layout, lent: HashSet::new(), held: 0, pace: Pace::default() })
    }

    fn send(&mut self, keysym: u32, direction: Direction) -> Result<(), KeyboardError> {
        let failed = |error: String| KeyboardError::Failed("X11", error);
        if self.layout.needs_room(keysym, &self.lent) && self.held == 0 {
            self.give_back();
            let (layout, enigo) = connect().map_err(|error| failed(error.to_string()))?;
            (self.layout, self.enigo) = (layout, Some(enigo));
        }
        let is_lent = !self.layout.keys.contains(&keysym) && self.lent.insert(keysym);
        std::thread::sleep(self.pace.wait(Instant::now(), is_lent));
        let enigo = self.enigo.as_mut().ok_or_else(|| failed("the connection is lost".to_owned()))?;
        enigo.key(enigo::Key::Other(keysym), direction).map_err(|error| failed(error.to_string()))?;
        self.held = match direction {
            Direction::Press => self.held + 1,
            Direction::Release => self.held.saturating_sub(1),
            Direction::Click => self.held,
        };
        self.pace.sent(Instant::now());
        Ok(())
    }

    /// Waits until programs have caught up; then closing enigo gives the codes back.
    fn give_back(&mut self) {
        if !self.lent.is_empty() {
            std::thread::sleep(self.pace.until_caught_up(Instant::now()));
        }
        self.lent.clear();
        self.enigo = None;
    }
}

/// The layout is read before enigo lends anything.
fn connect() -> Result<(Layout, Enigo), Box<dyn Error>> {
    Ok((Layout::read()?, Enigo::new(&Settings::default())?))
}

impl Drop for X11 {
    fn drop(&mut self) {
        self.give_back();
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

    fn mouse(&mut self, mouse: Mouse) -> Result<(), KeyboardError> {
        let failed = |error: String| KeyboardError::Failed("X11", error);
        let enigo = self.enigo.as_mut().ok_or_else(|| failed("the connection is lost".to_owned()))?;
        match mouse {
            Mouse::Move { dx, dy } => enigo.move_mouse(dx.into(), dy.into(), Coordinate::Rel),
            // enigo counts downwards
            Mouse::Scroll { dx, dy } => {
                enigo.scroll(-i32::from(dy), Axis::Vertical).and_then(|()| enigo.scroll(dx.into(), Axis::Horizontal))
            }
            Mouse::Click(MouseButton::Left) => enigo.button(Button::Left, Direction::Click),
            Mouse::Click(MouseButton::Middle) => enigo.button(Button::Middle, Direction::Click),
            Mouse::Click(MouseButton::Right) => enigo.button(Button::Right, Direction::Click),
        }
        .map_err(|error| failed(error.to_string()))
    }
}

/// What the server's keyboard has keys for, as enigo sees it.
#[derive(Debug, PartialEq, Eq)]
struct Layout {
    /// Keysyms that are typed without Shift or another modifier.
    keys: HashSet<u32>,
    /// Key codes without a meaning.
    spare: usize,
}

impl Layout {
    fn read() -> Result<Self, Box<dyn Error>> {
        let (connection, _) = x11rb::connect(None)?;
        let (first, last) = (connection.setup().min_keycode, connection.setup().max_keycode);
        let count = last.saturating_sub(first).saturating_add(1);
        let mapping = connection.get_keyboard_mapping(first, count)?.reply()?;
        Ok(Self::of(usize::from(first), usize::from(mapping.keysyms_per_keycode), &mapping.keysyms))
    }

    /// From the keysyms of each key code from `first` on, so many each, 0 for none.
    fn of(first: usize, each: usize, keysyms: &[u32]) -> Self {
        let codes = || keysyms.chunks(each.max(1));
        let is_spare = |(code, keysyms): &(usize, &[u32])| *code != NEVER_LENT && keysyms.iter().all(|&sym| sym == 0);
        Self {
            keys: codes().map(|keysyms| keysyms[0]).filter(|&keysym| keysym != 0).collect(),
            spare: (first..).zip(codes()).filter(is_spare).count(),
        }
    }

    /// Whether this key needs a code where few or none are left.
    fn needs_room(&self, keysym: u32, lent: &HashSet<u32>) -> bool {
        let room = self.spare.saturating_sub(RESERVE).max(1);
        lent.len() >= room && !self.keys.contains(&keysym) && !lent.contains(&keysym)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_without_a_modifier_and_spare_codes_are_read_from_the_servers_mapping() {
        let (a, big_a) = (keysym('a'), keysym('A'));
        let layout = Layout::of(8, 2, &[0, 0, a, big_a, 0, 0, 0, big_a, 0, 0]);
        assert_eq!(layout, Layout { keys: [a].into(), spare: 2 });
        assert_eq!(Layout::of(8, 0, &[]), Layout { keys: HashSet::new(), spare: 0 });
    }

    #[test]
    fn room_is_needed_for_a_new_key_only_and_before_the_last_spare_code_is_lent() {
        let layout = Layout { keys: [1].into(), spare: RESERVE + 2 };
        let lent = HashSet::from([10, 11]);
        assert!(layout.needs_room(12, &lent));
        assert!(!layout.needs_room(10, &lent) && !layout.needs_room(1, &lent));
        assert!(!layout.needs_room(12, &HashSet::from([10])));
    }
}
