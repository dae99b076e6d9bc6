//! Arguments as a mapping writes them, `0.5 7 "Take 2" true`, and as events tell them.
//! Pure.
//!
//! A number with a point is a float, one without an int; texts are in quotation marks;
//! `true false nil impulse` are themselves. A letter in front says the type where it
//! matters: `f:7`, `i:0`, `h:` (64 bits), `d:` (double), `s:word`, `b:00ff` (blob).

use rosc::OscType;

/// Most arguments of a message.
pub const MAX_ARGUMENTS: usize = 64;
/// Bytes of a blob that an event shows.
const SHOWN_BLOB: usize = 16;

/// Why arguments cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not a value.
    #[error("the argument {0} is no number, true, false, nil or impulse: a text is written in quotation marks")]
    Word(String),
    /// Not a value of its type.
    #[error("the argument {0} does not fit the type in front of it")]
    Typed(String),
    /// A text without its end.
    #[error("a text lacks its closing quotation mark")]
    Open,
    /// Something behind a text.
    #[error("after a text in quotation marks there must be a space")]
    Glued,
    /// Too many.
    #[error("a message has at most {MAX_ARGUMENTS} arguments")]
    TooMany,
}

/// Reads arguments.
pub fn read(text: &str) -> Result<Vec<OscType>, Unreadable> {
    let mut arguments = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        if arguments.len() == MAX_ARGUMENTS {
            return Err(Unreadable::TooMany);
        }
        let quoted = rest.strip_prefix("s:\"").or_else(|| rest.strip_prefix('"'));
        let (argument, after) = match quoted {
            Some(inside) => quoted_text(inside)?,
            None => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                (word(&rest[..end])?, &rest[end..])
            }
        };
        if !after.is_empty() && !after.starts_with(char::is_whitespace) {
            return Err(Unreadable::Glued);
        }
        arguments.push(argument);
        rest = after.trim_start();
    }
    Ok(arguments)
}

/// A text up to its quotation mark; `\"` and `\\` are those characters.
fn quoted_text(inside: &str) -> Result<(OscType, &str), Unreadable> {
    let mut text = String::new();
    let mut characters = inside.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Ok((OscType::String(text), &inside[at + 1..])),
            '\\' => text.push(characters.next().ok_or(Unreadable::Open)?.1),
            other => text.push(other),
        }
    }
    Err(Unreadable::Open)
}

fn word(word: &str) -> Result<OscType, Unreadable> {
    if let Some((letter @ ("i" | "f" | "h" | "d" | "s" | "b"), value)) = word.split_once(':') {
        return typed(letter, value).ok_or_else(|| Unreadable::Typed(word.to_owned()));
    }
    Ok(match word {
        "true" => OscType::Bool(true),
        "false" => OscType::Bool(false),
        "nil" => OscType::Nil,
        "impulse" => OscType::Inf,
        _ => {
            let int = word.parse().ok().map(OscType::Int);
            let number = int.or_else(|| word.parse().ok().filter(|float: &f32| float.is_finite()).map(OscType::Float));
            number.ok_or_else(|| Unreadable::Word(word.to_owned()))?
        }
    })
}

fn typed(letter: &str, value: &str) -> Option<OscType> {
    // a fader's 64.0 is 64 where an int is wanted
    let whole = || value.parse::<f64>().ok().filter(|float| float.is_finite()).map(f64::round);
    Some(match letter {
        "i" => OscType::Int(match value.parse() {
            Ok(int) => int,
            Err(_) => whole().filter(|float| float.abs() <= f64::from(i32::MAX))? as i32,
        }),
        "h" => OscType::Long(value.parse().ok()?),
        "f" => OscType::Float(value.parse().ok().filter(|float: &f32| float.is_finite())?),
        "d" => OscType::Double(value.parse().ok().filter(|float: &f64| float.is_finite())?),
        "s" => OscType::String(value.to_owned()),
        _ => OscType::Blob(bytes(value)?),
    })
}

/// Hexadecimal digits, two a byte.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        digits.chars().map(|digit| digit.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits?;
    (digits.len() % 2 == 0).then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// Arguments as an event tells them: `1 0.5 "text" true`, words and texts told apart.
pub fn show(arguments: &[OscType]) -> String {
    arguments.iter().map(one).collect::<Vec<_>>().join(" ")
}

fn one(argument: &OscType) -> String {
    match argument {
        OscType::Int(value) => value.to_string(),
        OscType::Long(value) => value.to_string(),
        OscType::Float(value) => format!("{value:?}"),
        OscType::Double(value) => format!("{value:?}"),
        OscType::Bool(value) => value.to_string(),
        OscType::Nil => "nil".to_owned(),
        OscType::Inf => "impulse".to_owned(),
        OscType::String(text) => quote(text),
        OscType::Char(character) => quote(&character.to_string()),
        OscType::Blob(bytes) => {
            let cut = if bytes.len() > SHOWN_BLOB { "…" } else { "" };
            let digits: String = bytes.iter().take(SHOWN_BLOB).map(|byte| format!("{byte:02x}")).collect();
            format!("b:{digits}{cut}")
        }
        OscType::Color(color) => {
            format!("#{:02x}{:02x}{:02x}{:02x}", color.red, color.green, color.blue, color.alpha)
        }
        OscType::Midi(midi) => format!("midi:{:02x}{:02x}{:02x}{:02x}", midi.port, midi.status, midi.data1, midi.data2),
        OscType::Time(time) => format!("time:{}.{}", time.seconds, time.fractional),
        OscType::Array(array) => format!("[{}]", show(&array.content)),
    }
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn arguments_have_the_type_they_look_like() {
        let text = r#"  7 -1 0.5 1e3 "Take \"2\"" true false nil impulse "" "#;
        let expected = [
            OscType::Int(7),
            OscType::Int(-1),
            OscType::Float(0.5),
            OscType::Float(1000.0),
            OscType::String("Take \"2\"".into()),
            OscType::Bool(true),
            OscType::Bool(false),
            OscType::Nil,
            OscType::Inf,
            OscType::String(String::new()),
        ];
        assert_eq!(read(text).unwrap(), expected);
        assert_eq!(read(" ").unwrap(), []);
    }

    #[test]
    fn a_letter_in_front_says_the_type() {
        let text = r#"f:7 i:63.6 h:9007199254740993 d:0.1 s:word s:"two words" b:00fF"#;
        let expected = [
            OscType::Float(7.0),
            OscType::Int(64),
            OscType::Long(9_007_199_254_740_993),
            OscType::Double(0.1),
            OscType::String("word".into()),
            OscType::String("two words".into()),
            OscType::Blob(vec![0, 255]),
        ];
        assert_eq!(read(text).unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (text, why) in [
            ("word", Unreadable::Word("word".into())),
            ("NaN", Unreadable::Word("NaN".into())),
            ("inf", Unreadable::Word("inf".into())),
            ("i:x", Unreadable::Typed("i:x".into())),
            ("i:3e9", Unreadable::Typed("i:3e9".into())),
            ("f:nan", Unreadable::Typed("f:nan".into())),
            ("b:0", Unreadable::Typed("b:0".into())),
            ("b:ü0", Unreadable::Typed("b:ü0".into())),
            ("\"open", Unreadable::Open),
            ("\"open\\", Unreadable::Open),
            ("\"a\"b", Unreadable::Glued),
        ] {
            assert_eq!(read(text), Err(why), "{text}");
        }
        assert_eq!(read(&"1 ".repeat(65)), Err(Unreadable::TooMany));
        assert_eq!(read(&"1 ".repeat(64)).unwrap().len(), 64);
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_back_as_the_same(
            int in any::<i32>(), float in -1e30_f32..1e30, text in ".*", flag in any::<bool>()
        ) {
            let arguments = vec![OscType::Int(int), OscType::Float(float), OscType::String(text), OscType::Bool(flag), OscType::Nil];
            prop_assert_eq!(read(&show(&arguments)), Ok(arguments));
        }

        #[test]
        fn no_text_makes_it_fall_over(text in "[a-z:\"\\\\ .0-9ü-]{0,40}") {
            let _ = read(&text);
        }
    }
}
