//! Keys by name, and what they are called where they are sent.

mod table;

use evdev::KeyCode;
use std::fmt;
use std::str::FromStr;
use table::{NAMED, Named, US, WORDS};

/// Longest part of an unknown name that an error repeats.
const SHOWN: usize = 40;

/// A key that can be clicked or held.
///
/// Made from its name: `"ctrl"`, `"space"`, `"f5"`, `"volume_up"`, or any one
/// character. Case, `_`, `-` and blanks in names do not matter.
///
/// ```
/// use midimon::action::keys::Key;
///
/// assert_eq!("Volume_Up".parse::<Key>()?, "volumeup".parse()?);
/// assert_eq!("cmd".parse::<Key>()?.to_string(), "meta");
/// assert_eq!("ctlr".parse::<Key>().unwrap_err().suggestion, Some("ctrl"));
/// # Ok::<(), midimon::action::keys::UnknownKey>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(Kind);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// Index into [`NAMED`].
    Named(u8),
    /// A character, letters in lower case; never a blank or a control character.
    Char(char),
}

/// A name that is no key's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown key \"{}\"{}; use a character or a name such as space, enter, f5, volume_up", name.escape_debug(),
    suggestion.map(|suggestion| format!("; did you mean \"{suggestion}\"?")).unwrap_or_default())]
pub struct UnknownKey {
    /// What was written, cut if long.
    pub name: String,
    /// The known name that looks most like it.
    pub suggestion: Option<&'static str>,
}

/// A key of a keyboard with US layout, and whether Shift belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stroke {
    /// The kernel's code.
    pub code: KeyCode,
    /// Shift is held for it.
    pub shift: bool,
}

impl Key {
    /// The key that types this character; `None` for control characters.
    #[must_use]
    pub fn from_char(character: char) -> Option<Self> {
        match character {
            ' ' => Self::named("space"),
            '\n' => Self::named("enter"),
            '\t' => Self::named("tab"),
            _ if character.is_control() || character.is_whitespace() => None,
            _ => Some(Self(Kind::Char(character.to_lowercase().next().unwrap_or(character)))),
        }
    }

    /// What a US keyboard does for this key; `None` for characters it has no key for.
    #[must_use]
    pub fn stroke(self) -> Option<Stroke> {
        match self.0 {
            Kind::Named(index) => Some(Stroke { code: row(index).code, shift: false }),
            Kind::Char(character) => us_stroke(character),
        }
    }

    /// The X11 keysym.
    #[must_use]
    pub fn keysym(self) -> u32 {
        match self.0 {
            Kind::Named(index) => row(index).keysym,
            Kind::Char(character) => keysym(character),
        }
    }

    /// Every name that can be written, aliases included, characters not.
    pub fn names() -> impl Iterator<Item = &'static str> {
        let named = NAMED.iter().flat_map(|row| std::iter::once(row.name).chain(row.aliases.iter().copied()));
        named.chain(WORDS.iter().map(|&(word, _)| word))
    }

    fn named(name: &str) -> Option<Self> {
        let wanted = || name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase);
        let is = |known: &&str| known.chars().filter(|&c| c != '_').eq(wanted());
        if let Some(&(_, character)) = WORDS.iter().find(|(word, _)| is(word)) {
            return Self::from_char(character);
        }
        let index = NAMED.iter().position(|row| is(&row.name) || row.aliases.iter().any(&is))?;
        Some(Self(Kind::Named(index as u8))) // cannot cut: a test counts the rows
    }
}

/// What a US keyboard does to type this character.
#[must_use]
pub fn us_stroke(character: char) -> Option<Stroke> {
    let with_shift = |shift| move |code| Stroke { code, shift };
    let row = |&(plain, shifted, code): &(char, char, KeyCode)| {
        (plain == character).then_some(code).map(with_shift(false)).or_else(|| {
            let upper = plain.is_ascii_lowercase() && plain.to_ascii_uppercase() == character;
            (upper || shifted == character).then_some(code).map(with_shift(true))
        })
    };
    match character {
        '\n' => Some(Stroke { code: KeyCode::KEY_ENTER, shift: false }),
        '\t' => Some(Stroke { code: KeyCode::KEY_TAB, shift: false }),
        _ => US.iter().find_map(row),
    }
}

/// The X11 keysym that stands for this character, upper and lower case apart.
#[must_use]
pub fn keysym(character: char) -> u32 {
    match character {
        '\n' => 0xFF0D,
        '\t' => 0xFF09,
        // Latin-1 is its own keysym, the rest of Unicode lies above 0x0100_0000 (X11 protocol, appendix A)
        '\0'..='\u{FF}' => character as u32,
        _ => 0x0100_0000 | character as u32,
    }
}

/// Every kernel code a key or a character can need.
pub fn all_codes() -> impl Iterator<Item = KeyCode> {
    NAMED.iter().map(|row| row.code).chain(US.iter().map(|&(_, _, code)| code))
}

fn row(index: u8) -> &'static Named {
    &NAMED[usize::from(index)]
}

impl FromStr for Key {
    type Err = UnknownKey;

    fn from_str(name: &str) -> Result<Self, UnknownKey> {
        let mut characters = name.chars();
        if let (Some(only), None) = (characters.next(), characters.next())
            && let Some(key) = Self::from_char(only)
        {
            return Ok(key);
        }
        Self::named(name).ok_or_else(|| {
            let shown: String = name.chars().take(SHOWN).collect();
            let lower = shown.to_lowercase();
            let suggestion = Self::names()
                .map(|known| (strsim::damerau_levenshtein(known, &lower), known))
                .min()
                .filter(|&(distance, known)| distance <= 1 + known.len() / 4)
                .map(|(_, known)| known);
            UnknownKey { name: shown, suggestion }
        })
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Kind::Named(index) => formatter.write_str(row(index).name),
            Kind::Char(character) => write!(formatter, "{character}"),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Key({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn key(name: &str) -> Key {
        name.parse().unwrap()
    }

    #[test]
    fn every_name_is_one_keys_and_the_first_is_how_it_is_shown() {
        assert!(NAMED.len() <= usize::from(u8::MAX) + 1);
        let mut seen = HashSet::new();
        for (index, row) in NAMED.iter().enumerate() {
            assert_eq!(key(row.name).to_string(), row.name);
            for name in std::iter::once(&row.name).chain(row.aliases) {
                assert!(seen.insert(name.replace('_', "")), "{name} twice");
                assert_eq!(key(name), Key(Kind::Named(index as u8)), "{name}");
            }
        }
    }

    #[test]
    fn a_character_can_be_written_as_a_word() {
        for (word, character) in WORDS {
            assert_eq!(key(word), key(&character.to_string()), "{word}");
        }
    }

    #[test]
    fn the_names_of_older_configurations_are_known() {
        let names = "space return enter tab escape esc backspace delete del up down left right home end pageup pgup \
            pagedown pgdn volumeup volup volumedown voldown mute playpause play stop nexttrack next previoustrack \
            previous prev insert printscreen scrolllock pause capslock numlock cmd shift alt ctrl fn command option \
            control super win meta a z 0 9 / ; f1 f20 f24";
        for name in names.split_whitespace() {
            assert!(name.parse::<Key>().is_ok(), "{name}");
            assert!(name.to_uppercase().parse::<Key>().is_ok(), "{name} in upper case");
        }
    }

    #[test]
    fn every_printable_ascii_character_has_a_stroke_of_its_own() {
        let mut seen = HashSet::new();
        for character in ' '..='~' {
            let stroke = us_stroke(character).unwrap_or_else(|| panic!("{character:?}"));
            assert!(seen.insert((stroke.code, stroke.shift)), "{character:?}");
        }
        assert_eq!(us_stroke('A'), Some(Stroke { code: KeyCode::KEY_A, shift: true }));
        assert_eq!(us_stroke('é'), None);
    }

    #[test]
    fn keysyms_follow_the_x11_rules() {
        assert_eq!(key("A").keysym(), 0x61);
        assert_eq!(key("é").keysym(), 0xE9);
        assert_eq!(key("€").keysym(), 0x0100_20AC);
        assert_eq!(key("return").keysym(), 0xFF0D);
        assert_eq!(keysym('\n'), key("enter").keysym());
        assert_eq!(keysym('\t'), key("tab").keysym());
        assert_eq!((keysym('É'), keysym('é')), (0xC9, 0xE9));
        assert_eq!(key("f24").keysym(), key("f1").keysym() + 23);
    }

    #[test]
    fn a_misspelt_name_gets_a_suggestion_and_nonsense_gets_none() {
        assert_eq!("ctlr".parse::<Key>().unwrap_err().suggestion, Some("ctrl"));
        assert_eq!("volum_up".parse::<Key>().unwrap_err().suggestion, Some("volume_up"));
        assert_eq!("xyzzyplugh".parse::<Key>().unwrap_err().suggestion, None);
        assert_eq!("x".repeat(10_000).parse::<Key>().unwrap_err().name.len(), SHOWN);
    }

    proptest! {
        #[test]
        fn what_is_shown_can_be_read_again(name in "\\PC{0,3}|[a-z_]{1,12}") {
            if let Ok(key) = name.parse::<Key>() {
                prop_assert_eq!(key.to_string().parse::<Key>(), Ok(key));
            }
        }
    }
}
