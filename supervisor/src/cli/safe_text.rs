//! Text from plugins, devices and files, made safe to show.

use std::borrow::Cow;
use std::fmt::Write;

/// Escapes as `\u{…}` whatever could move the cursor, recolour or reorder what
/// stands beside it, or hide: control characters, separators, bidirectional
/// controls, characters without width. Newlines are escaped too; backslashes are
/// not, so ordinary text stays as it is.
#[must_use]
pub fn safe_text(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\t' => safe.push(' '),
            character if is_unsafe(character) => {
                let _ = write!(safe, "\\u{{{:x}}}", u32::from(character)); // a String takes everything
            }
            character => safe.push(character),
        }
    }
    Cow::Owned(safe)
}

/// As [`safe_text`], line by line: newlines stay.
#[must_use]
pub fn safe_lines(text: &str) -> String {
    text.lines().map(safe_text).collect::<Vec<_>>().join("\n")
}

fn is_unsafe(character: char) -> bool {
    character.is_control()
        || matches!(u32::from(character),
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
            | 0x1BCA0..=0x1BCA3 | 0x1D173..=0x1D17A // shorthand and musical format controls
            | 0xE0000..=0xE0FFF         // tags and supplementary selectors
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_of_any_language_stays_as_it_is() {
        for text in ["echo: played C4", "Klavier für Élise", "ピアノ 1", "قانون", "C:\\dir", "🎹"] {
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
        assert_eq!(safe_lines("a\nb\x07"), "a\nb\\u{7}");
    }
}
