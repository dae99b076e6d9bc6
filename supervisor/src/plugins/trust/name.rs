//! Names of publishers, as the user pins them to keys.

use crate::plugins::minisign::PublicKey;
use midimon_shared::text::unshowable;
use serde::{Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Longest name, in characters.
pub const MAX_NAME: usize = 80;

/// Signs that say “checked” or “safe”: only midimon's own lines may.
const MARKS: &str = "✓✔✅☑🗸🗹🔒🔐🔏🛡⚠";

/// Why a text cannot be a publisher's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum NameError {
    #[error("a publisher's name needs at least one letter or digit")]
    Empty,
    #[error("a publisher's name has at most {MAX_NAME} characters")]
    TooLong,
    #[error("a publisher's name cannot begin or end with a space, or have two in a row")]
    Spaces,
    #[error("a publisher's name cannot have the character U+{:04X}, which cannot be shown safely", u32::from(*.0))]
    Character(char),
    #[error("a publisher's name cannot have the sign U+{:04X}, which looks like a judgement of midimon's", u32::from(*.0))]
    Mark(char),
    #[error("a publisher's name cannot be a key itself")]
    Key,
    #[error("a publisher's name cannot have 'midimon' in it, or what looks like it: only midimon speaks for midimon")]
    Midimon,
}

/// What the user knows a publisher as; safe to show in one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublisherName(String);

impl PublisherName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// For a key that is revoked before it had a name.
    #[must_use]
    pub fn of_key(key: &PublicKey) -> Self {
        Self(format!("key {}", key.key_id_hex()))
    }

    pub(super) fn skeleton(&self) -> String {
        skeleton(&self.0)
    }
}

impl FromStr for PublisherName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.chars().count() > MAX_NAME {
            return Err(NameError::TooLong);
        }
        if let Some(bad) = unshowable(text) {
            return Err(NameError::Character(bad));
        }
        if let Some(mark) = text.chars().find(|&character| MARKS.contains(character)) {
            return Err(NameError::Mark(mark));
        }
        if skeleton(text).is_empty() {
            return Err(NameError::Empty);
        }
        if speaks_for_midimon(text) {
            return Err(NameError::Midimon);
        }
        // every other kind of space looks like this one, or like none
        if let Some(space) = text.chars().find(|&character| character.is_whitespace() && character != ' ') {
            return Err(NameError::Character(space));
        }
        if text.starts_with(' ') || text.ends_with(' ') || text.contains("  ") {
            return Err(NameError::Spaces);
        }
        if text.parse::<PublicKey>().is_ok() {
            return Err(NameError::Key);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for PublisherName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for PublisherName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// What is left of a name when everything is gone that eyes pass over: case,
/// spaces and punctuation, and letters of other scripts (and digits) that look
/// like Latin ones. Two names with one skeleton look alike; the table is not all
/// of Unicode's, which is why fingerprints are always shown too.
pub(super) fn skeleton(text: &str) -> String {
    pairs(&folded(text).filter(|character| character.is_alphanumeric()).collect::<String>())
}

fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars().map(full_width).flat_map(char::to_lowercase).map(latin)
}

/// Pairs of letters as the letter they are easily taken for.
fn pairs(folded: &str) -> String {
    folded.replace("rn", "m").replace("vv", "w").replace("cl", "d")
}

/// Whether a word, or some words together, look like midimon's own name; that they
/// go on as others do, such as “MIDI monitor”, makes them other words.
fn speaks_for_midimon(text: &str) -> bool {
    let folded: String = folded(text).collect();
    let words: Vec<&str> = folded.split(|character: char| !character.is_alphanumeric()).collect();
    let together = |first: usize| (first..words.len()).any(|last| pairs(&words[first..=last].concat()) == "midimon");
    words.iter().any(|word| pairs(word).contains("midimon")) || (0..words.len()).any(together)
}

/// Full-width forms as the characters they are forms of.
fn full_width(character: char) -> char {
    match character {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(character) - 0xFEE0).unwrap_or(character),
        _ => character,
    }
}

/// The Latin letter that a lower-case letter, or a digit, is easily taken for.
fn latin(character: char) -> char {
    match character {
        'а' | 'α' | 'ɑ' | 'à' | 'á' | 'â' | 'ã' | 'å' | 'ā' => 'a',
        'в' | 'β' | 'ь' => 'b',
        'с' | 'ϲ' | 'ç' | 'ć' | 'č' => 'c',
        'ԁ' => 'd',
        'е' | 'ε' | 'ё' | 'è' | 'é' | 'ê' | 'ë' | 'ē' => 'e',
        'ɡ' => 'g',
        'һ' | 'н' | 'η' => 'h',
        // lower case of I with a dot is two characters, the second of which is dropped
        '1' | '|' | 'і' | 'ι' | 'ı' | 'l' | 'ӏ' | 'ї' | 'ì' | 'í' | 'î' | 'ï' => 'i',
        'ј' => 'j',
        'к' | 'κ' => 'k',
        'м' => 'm',
        'ո' | 'ñ' | 'ń' => 'n',
        '0' | 'о' | 'ο' | 'օ' | 'σ' | 'ò' | 'ó' | 'ô' | 'õ' | 'ø' | 'ō' => 'o',
        'р' | 'ρ' => 'p',
        'ԛ' => 'q',
        'г' => 'r',
        'ѕ' | 'ś' | 'š' => 's',
        'т' | 'τ' => 't',
        'υ' | 'ս' | 'ù' | 'ú' | 'û' => 'u',
        'ν' | 'ѵ' => 'v',
        'ԝ' | 'ω' => 'w',
        'х' | 'χ' => 'x',
        'у' | 'γ' | 'ý' | 'ÿ' => 'y',
        'ź' | 'ž' | 'ż' => 'z',
        other => other,
    }
}
