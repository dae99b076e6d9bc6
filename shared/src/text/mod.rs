//! Text from plugins, devices, files and users: what of it can be shown, and how the rest is.

mod marks;

use marks::is_mark;
use std::borrow::Cow;
use std::fmt::Write;

/// Most marks on one letter; Thai and Vietnamese need two. More can be drawn over other lines.
const MAX_MARKS: usize = 2;

/// Walks a text and tells what can be shown where it stands.
#[derive(Clone, Copy, Debug, Default)]
struct Shower {
    /// How many more marks the letter before can bear.
    bears: usize,
}

impl Shower {
    fn takes(&mut self, char: char) -> bool {
        if is_hidden(char) {
            self.bears = 0;
            return false;
        }
        if !is_mark(char) {
            self.bears = if char.is_whitespace() { 0 } else { MAX_MARKS };
            return true;
        }
        let takes = self.bears > 0;
        self.bears = self.bears.saturating_sub(1);
        takes
    }
}

/// The first character that cannot stand where it does in one line of a listing or a
/// prompt without lying about what is there: control characters, what is invisible, what
/// turns the direction of what follows, and marks (accents, variation selectors) without
/// a letter before them or more than two on one.
#[must_use]
pub fn unshowable(text: &str) -> Option<char> {
    let mut shower = Shower::default();
    text.chars().find(|char| !shower.takes(*char))
}

/// Escapes as `\u{…}` what [`unshowable`] finds. Newlines are escaped too; a tab becomes a
/// space, and backslashes are left, so ordinary text stays as it is.
#[must_use]
pub fn safe_text(text: &str) -> Cow<'_, str> {
    if unshowable(text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut shower = Shower::default();
    let mut safe = String::with_capacity(text.len() + 16);
    for char in text.chars() {
        let takes = shower.takes(char);
        match char {
            '\t' => safe.push(' '),
            char if takes => safe.push(char),
            char => {
                let _ = write!(safe, "\\u{{{:x}}}", u32::from(char)); // a String takes everything
            }
        }
    }
    Cow::Owned(safe)
}

/// As [`safe_text`], line by line: newlines stay.
#[must_use]
pub fn safe_lines(text: &str) -> String {
    text.lines().map(safe_text).collect::<Vec<_>>().join("\n")
}

/// Whether a character looks like the quotation marks of [`quoted`].
#[must_use]
pub const fn is_quotation_mark(char: char) -> bool {
    matches!(
        char,
        '"' | '\u{02BA}' | '\u{02DD}' | '\u{02EE}' | '\u{02F6}' | '\u{05F2}' | '\u{05F4}' | '\u{1CD3}'
            | '\u{201C}'..='\u{201F}' | '\u{2033}' | '\u{2036}' | '\u{3003}' | '\u{301D}'..='\u{301F}' | '\u{FF02}'
    )
}

/// A stranger's text in quotation marks, with none inside, so that it cannot close them.
#[must_use]
pub fn quoted(text: &str) -> String {
    let plain = safe_text(text);
    let plain = plain.chars().map(|char| if is_quotation_mark(char) { '\'' } else { char });
    format!("\"{}\"", plain.collect::<String>())
}

/// What is never shown, wherever it stands.
fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(u32::from(char),
            0x00AD                      // soft hyphen
            | 0x034F                    // combining grapheme joiner
            | 0x061C                    // Arabic letter mark
            | 0x115F | 0x1160           // Hangul fillers
            | 0x17B4 | 0x17B5           // invisible Khmer vowels
            | 0x180B..=0x180F           // Mongolian selectors and vowel separator
            | 0x200B..=0x200F           // zero-width, left-to-right and right-to-left marks
            | 0x2028..=0x202E           // separators, embeddings and overrides
            | 0x2060..=0x206F           // joiners, isolates, deprecated format characters
            | 0x3164 | 0xFFA0           // Hangul fillers
            | 0xFEFF                    // byte order mark
            | 0xFFF0..=0xFFFB           // interlinear annotation
            | 0x13430..=0x1343F         // Egyptian format controls
            | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A // shorthand and musical format controls
            | 0xE0000..=0xE0FFF         // tags and supplementary selectors
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_text_of_any_language_stays_as_it_is() {
        for text in [
            "echo: played C4",
            "Klavier für Élise",
            "E\u{301}lise",
            "Vie\u{302}\u{323}t",
            "ピアノ 1",
            "قانون",
            "שָׁלוֹם",
            "हिन्दी",
            "ที่นี่",
            "한국어",
            "C:\\dir",
            "🎹",
            "▶\u{fe0f}",
            "1\u{fe0f}\u{20e3}",
            "",
        ] {
            assert_eq!(unshowable(text), None, "{text}");
            assert!(matches!(safe_text(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn what_moves_recolours_reorders_or_hides_is_spelt_out() {
        assert_eq!(safe_text("\x1b[2Jx\r\n"), "\\u{1b}[2Jx\\u{d}\\u{a}");
        assert_eq!(safe_text("a\u{202e}b\u{2066}c"), "a\\u{202e}b\\u{2066}c");
        assert_eq!(safe_text("a\u{200b}\u{feff}b"), "a\\u{200b}\\u{feff}b");
        assert_eq!(safe_text("\u{9b}31m"), "\\u{9b}31m");
        assert_eq!(safe_text("tag\u{e0041}"), "tag\\u{e0041}");
        assert_eq!(safe_text("a\u{1bca0}\u{1d173}"), "a\\u{1bca0}\\u{1d173}");
        assert_eq!(safe_text("a\tb"), "a b");
        assert_eq!(safe_lines("a\nb\x07"), "a\nb\\u{7}");
        for (text, bad) in [("a\u{ad}b", '\u{ad}'), ("a\tb", '\t'), ("\u{13430}", '\u{13430}')] {
            assert_eq!(unshowable(text), Some(bad));
        }
    }

    #[test]
    fn marks_cannot_pile_up_and_do_not_stand_alone() {
        let piled = format!("a{}", "\u{301}".repeat(300));
        assert_eq!(unshowable(&piled), Some('\u{301}'));
        assert_eq!(safe_text(&piled).matches('\u{301}').count(), MAX_MARKS);
        // mixed ones and those of other scripts too
        for text in ["a\u{300}\u{20d0}\u{fe20}", "ก\u{e34}\u{e48}\u{e4c}", "\u{1112}\u{1161}\u{11ab}\u{11ab}"] {
            assert!(unshowable(text).is_some(), "{text:?}");
        }
        // on nothing, on a space, on what was escaped
        for text in ["\u{fe0f}a", "\u{338}", "a \u{301}", "a\u{200b}\u{301}", "\t\u{301}"] {
            assert!(unshowable(text).is_some(), "{text:?}");
            assert!(!safe_text(text).chars().any(is_mark), "{text:?}");
        }
    }

    #[test]
    fn nothing_closes_the_quotation_it_stands_in() {
        assert_eq!(quoted("a\"b\u{1b}[2J\n"), "\"a'b\\u{1b}[2J\\u{a}\"");
        assert_eq!(quoted("“ok” ＂x″ \u{301}"), "\"'ok' 'x' \\u{301}\"");
        assert_eq!(quoted(""), "\"\"");
    }

    proptest! {
        #[test]
        fn any_text_is_made_one_that_can_be_shown_and_then_stays(text in "(?s)(.|[\u{300}-\u{310}\u{200B}-\u{202E}\t\\x1b]){0,20}") {
            let safe = safe_text(&text);
            prop_assert_eq!(unshowable(&safe), None, "{:?}", safe);
            prop_assert_eq!(safe_text(&safe), safe.as_ref());
            prop_assert!(unshowable(&text).is_some() || safe == text);
        }
    }
}
