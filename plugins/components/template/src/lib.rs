//! Texts with places for what was played: `{velocity}`, or `{velocity|100}` with what to
//! take where there is none. `{{velocity}}` stays as `{velocity}`; a brace with anything
//! but a lone word behind it is itself, so that JSON needs no escapes. Pure.
#![forbid(unsafe_code)]

use midimon_plugin::{Context, Trigger};

/// Longest text that comes of a template, in bytes.
pub const MAX_FILLED: usize = 64 * 1024;
/// Centre of the pitch wheel's 14 bits.
const PITCH_CENTRE: i32 = 8192;

/// Why a template cannot be filled in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfilled {
    /// No such place.
    #[error("{{{0}}} is nothing that can be filled in; there are {known} (write {{{{{0}}}}} to mean the text itself)", known = known())]
    Unknown(String),
    /// The trigger has no such thing.
    #[error("this trigger has no {0}: say what to take instead, as in {{{0}|100}}")]
    Absent(String),
    /// The result is too long.
    #[error("the text is longer than {MAX_FILLED} bytes")]
    TooLong,
}

/// What can be filled in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values {
    /// Velocity, pressure or controller value, 0 to 127.
    pub velocity: Option<u8>,
    /// The same; for the pitch wheel -8192 to 8191, for a program change the program.
    pub value: Option<i32>,
    /// The same as a part of the whole, 0 to 1.
    pub fraction: Option<f64>,
    /// The note, 0 to 127.
    pub note: Option<u8>,
    /// The controller's number, 0 to 127.
    pub controller: Option<u8>,
    /// The channel, 1 to 16.
    pub channel: Option<u8>,
    /// The device's alias.
    pub device: Option<String>,
    /// The active mode's name.
    pub mode: Option<String>,
    /// Milliseconds since the Unix epoch.
    pub time: u64,
}

const NAMES: [&str; 9] = ["velocity", "value", "fraction", "note", "controller", "channel", "device", "mode", "time"];

fn known() -> String {
    NAMES.map(|name| format!("{{{name}}}")).join(" ")
}

impl Values {
    /// What a call was told.
    #[must_use]
    pub fn of(context: &Context<'_>) -> Self {
        let at = |index: usize| context.message().get(index).copied();
        let (value, fraction) = match (context.trigger, at(1), at(2)) {
            (Trigger::PitchBend, Some(low), Some(high)) => {
                let position = i32::from(high) << 7 | i32::from(low);
                (Some(position - PITCH_CENTRE), Some(f64::from(position) / 16383.0))
            }
            (Trigger::ProgramChange, Some(program), _) => (Some(program.into()), Some(f64::from(program) / 127.0)),
            _ => (context.velocity.map(i32::from), context.velocity.map(|velocity| f64::from(velocity) / 127.0)),
        };
        Self {
            velocity: context.velocity,
            value,
            fraction,
            note: context.note(),
            controller: at(1).filter(|_| context.trigger == Trigger::ControlChange),
            channel: context.channel(),
            device: context.device().map(Into::into),
            mode: context.mode_name().map(Into::into),
            time: context.timestamp_ms,
        }
    }

    /// One of them as text; outside, an unknown name, inside, one the trigger does not have.
    fn get(&self, name: &str) -> Option<Option<String>> {
        let number = |value: Option<i32>| value.map(|value| value.to_string());
        Some(match name {
            "velocity" => number(self.velocity.map(i32::from)),
            "value" => number(self.value),
            "fraction" => self.fraction.map(|fraction| format!("{fraction:.4}")),
            "note" => number(self.note.map(i32::from)),
            "controller" => number(self.controller.map(i32::from)),
            "channel" => number(self.channel.map(i32::from)),
            "device" => self.device.clone(),
            "mode" => self.mode.clone(),
            "time" => Some(self.time.to_string()),
            _ => return None,
        })
    }

    /// Fills a template in; `escape` is put over every value that is filled in, so that it
    /// cannot mean more than itself.
    ///
    /// # Errors
    /// An unknown place, one the trigger has nothing for, or an overlong result.
    pub fn fill(&self, template: &str, escape: impl Fn(&str) -> String) -> Result<String, Unfilled> {
        let mut filled = String::with_capacity(template.len());
        let mut rest = template;
        while let Some(start) = rest.find('{') {
            let (before, from) = rest.split_at(start);
            filled.push_str(before);
            rest = match Place::read(from) {
                Some(Place { is_text: true, whole, .. }) => {
                    filled.push_str(&whole[1..whole.len() - 1]);
                    &from[whole.len()..]
                }
                Some(Place { name, instead, whole, .. }) => {
                    let value = self.get(name).ok_or_else(|| Unfilled::Unknown(name.to_owned()))?;
                    let value = value.or(instead.map(str::to_owned));
                    filled.push_str(&escape(&value.ok_or_else(|| Unfilled::Absent(name.to_owned()))?));
                    &from[whole.len()..]
                }
                None => {
                    filled.push('{');
                    &from[1..]
                }
            };
            if filled.len() > MAX_FILLED {
                return Err(Unfilled::TooLong);
            }
        }
        filled.push_str(rest);
        if filled.len() > MAX_FILLED { Err(Unfilled::TooLong) } else { Ok(filled) }
    }
}

/// A place in a template.
struct Place<'t> {
    name: &'t str,
    instead: Option<&'t str>,
    /// In doubled braces: the text itself is meant.
    is_text: bool,
    whole: &'t str,
}

impl<'t> Place<'t> {
    /// Reads one at the start of a text that begins with a brace.
    fn read(text: &'t str) -> Option<Self> {
        let inner = text.strip_prefix("{{").unwrap_or(&text[1..]);
        let is_text = text.len() - inner.len() == 2;
        let length = inner.find('}')?;
        let (name, instead) = match inner[..length].split_once('|') {
            Some((name, instead)) => (name, Some(instead)),
            None => (&inner[..length], None),
        };
        let is_word = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let is_closed = !is_text || inner[length..].starts_with("}}");
        let whole = text.get(..if is_text { length + 4 } else { length + 2 })?;
        (is_word && is_closed).then_some(Self { name, instead, is_text, whole })
    }
}

/// For what needs no escapes.
#[must_use]
pub fn plain(value: &str) -> String {
    value.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        Values { velocity: Some(64), note: Some(36), device: Some("a \"pad\"".into()), ..Values::default() }
    }

    fn fill(template: &str) -> Result<String, Unfilled> {
        values().fill(template, plain)
    }

    #[test]
    fn places_are_filled_in_and_all_else_stays() {
        for (template, filled) in [
            ("", ""),
            ("no places", "no places"),
            ("{velocity}", "64"),
            ("v={velocity}&n={note}", "v=64&n=36"),
            (r#"{"v": {velocity}}"#, r#"{"v": 64}"#),
            ("{{velocity}} {", "{velocity} {"),
            ("{ a } {} {A} { velocity }", "{ a } {} {A} { velocity }"),
            ("{channel|7}", "7"),
            ("{velocity|7}", "64"),
            ("{channel|}", ""),
            ("ü{note}ü{", "ü36ü{"),
            ("{{{velocity}}}", "{{velocity}}"),
            ("{time}", "0"),
        ] {
            assert_eq!(fill(template).as_deref(), Ok(filled), "{template}");
        }
    }

    #[test]
    fn unknown_places_and_absent_values_are_named() {
        let unknown = fill("{velocty}").unwrap_err().to_string();
        assert!(
            unknown.contains("{velocty}") && unknown.contains("{velocity}") && unknown.contains("{{velocty}}"),
            "{unknown}"
        );
        assert_eq!(fill("{channel}"), Err(Unfilled::Absent("channel".into())));
    }

    #[test]
    fn values_are_escaped_and_the_template_is_not() {
        let escape = |value: &str| value.replace('"', "\\\"");
        assert_eq!(values().fill(r#"{"d":"{device}"}"#, escape).unwrap(), r#"{"d":"a \"pad\""}"#);
    }

    #[test]
    fn a_text_that_grows_too_long_is_refused() {
        assert_eq!(fill(&"x".repeat(MAX_FILLED + 1)), Err(Unfilled::TooLong));
        assert_eq!(fill(&"{note}".repeat(MAX_FILLED)), Err(Unfilled::TooLong));
        assert!(fill(&"x".repeat(MAX_FILLED)).is_ok());
    }

    #[test]
    fn no_template_makes_it_fall_over() {
        let pieces = ["{", "}", "{{", "}}", "velocity", "|", "ü", "x", "{note}"];
        for first in pieces {
            for second in pieces {
                for third in pieces {
                    for fourth in pieces {
                        let _ = fill(&[first, second, third, fourth].concat());
                    }
                }
            }
        }
    }
}
