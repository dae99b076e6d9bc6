//! What can be done, and how an action's parameters say it. Pure.

/// Highest velocity or controller value.
const MAX_VELOCITY: f64 = 127.0;
/// Longest text for a notification or the clipboard, in bytes.
pub const MAX_TEXT: usize = 8 * 1024;

/// What has a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Sound {
    Output,
    Microphone,
}

/// Where to, on a scale of percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// There.
    To(u8),
    /// So much more, or less.
    By(i8),
}

/// A switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Switch {
    On,
    Off,
    Toggle,
}

/// A key of a media keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Media {
    PlayPause,
    Play,
    Pause,
    Stop,
    Next,
    Previous,
}

/// How much a notification matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Urgency {
    Low,
    Normal,
    Critical,
}

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// How loud.
    Volume(Sound, Change),
    /// Whether heard.
    Mute(Sound, Switch),
    /// How bright the screen is.
    Brightness(Change),
    /// A media key, for one player where it is named.
    Media(Media, Option<String>),
    /// A notification.
    Notify {
        /// In bold.
        title: String,
        /// Below.
        body: String,
        /// How much it matters.
        urgency: Urgency,
    },
    /// Lock the screen.
    Lock,
    /// A picture of the screen into this file.
    Screenshot(String),
    /// A text into the clipboard.
    Copy(String),
    /// What is in the clipboard.
    Paste,
}

impl Deed {
    /// Where only the latest counts: a fader says it faster than programs can be run.
    pub const fn follows(&self) -> Option<Fader> {
        match self {
            Self::Volume(Sound::Output, Change::To(_)) => Some(Fader::Output),
            Self::Volume(Sound::Microphone, Change::To(_)) => Some(Fader::Microphone),
            Self::Brightness(Change::To(_)) => Some(Fader::Brightness),
            _ => None,
        }
    }
}

/// What a fader can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Fader {
    Output,
    Microphone,
    Brightness,
}

impl Fader {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Output, Self::Microphone, Self::Brightness];
}

/// Why parameters make no deed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// Out of range.
    #[error("'{name}' is {given}: it goes from {from} to {to}")]
    Range {
        /// Which.
        name: &'static str,
        /// As given.
        given: i64,
        /// Lowest.
        from: i64,
        /// Highest.
        to: i64,
    },
    /// Both.
    #[error("'percent' and 'by' exclude each other")]
    Both,
    /// Nothing says how much.
    #[error("say 'percent' (0 to 100) or 'by' (-100 to 100), or use a trigger that has a velocity or value")]
    Neither,
    /// No such word.
    #[error("'{name}' is \"{given}\": it is one of {known}")]
    Word {
        /// Which.
        name: &'static str,
        /// As given.
        given: String,
        /// What it can be.
        known: &'static str,
    },
    /// Too long.
    #[error("the text has {0} bytes; {MAX_TEXT} are the most")]
    Long(usize),
    /// No text.
    #[error("there is no text")]
    Empty,
    /// Not a path for a screenshot.
    #[error(
        "set where screenshots go, an absolute path: `midimon plugin config set system screenshots /home/you/Pictures`"
    )]
    Directory,
}

/// How much: as said, or as the fader or the velocity says.
pub fn change(percent: Option<i64>, by: Option<i64>, velocity: Option<u8>) -> Result<Change, Misfit> {
    let within = |name, given: i64, from, to| {
        if (from..=to).contains(&given) { Ok(given) } else { Err(Misfit::Range { name, given, from, to }) }
    };
    Ok(match (percent, by, velocity) {
        (Some(_), Some(_), _) => return Err(Misfit::Both),
        (Some(percent), None, _) => Change::To(within("percent", percent, 0, 100)? as u8),
        (None, Some(by), _) => Change::By(within("by", by, -100, 100)? as i8),
        // a float's `as` stays within bounds
        (None, None, Some(velocity)) => {
            Change::To((f64::from(velocity) / MAX_VELOCITY * 100.0).round().min(100.0) as u8)
        }
        (None, None, None) => return Err(Misfit::Neither),
    })
}

/// A switch's word; toggles where there is none.
pub fn switch(word: Option<&str>) -> Result<Switch, Misfit> {
    Ok(match word {
        None | Some("toggle") => Switch::Toggle,
        Some("on") => Switch::On,
        Some("off") => Switch::Off,
        Some(given) => return Err(Misfit::Word { name: "state", given: given.to_owned(), known: "on off toggle" }),
    })
}

/// What has a volume, by its word; the output where there is none.
pub fn sound(word: Option<&str>) -> Result<Sound, Misfit> {
    Ok(match word {
        None | Some("output") => Sound::Output,
        Some("microphone") => Sound::Microphone,
        Some(given) => return Err(Misfit::Word { name: "of", given: given.to_owned(), known: "output microphone" }),
    })
}

/// How much it matters, by its word; normally where there is none.
pub fn urgency(word: Option<&str>) -> Result<Urgency, Misfit> {
    Ok(match word {
        Some("low") => Urgency::Low,
        None | Some("normal") => Urgency::Normal,
        Some("critical") => Urgency::Critical,
        Some(given) => {
            return Err(Misfit::Word { name: "urgency", given: given.to_owned(), known: "low normal critical" });
        }
    })
}

/// A text that a program can be given.
pub fn text(text: String) -> Result<String, Misfit> {
    match text.len() {
        0 => Err(Misfit::Empty),
        length if length > MAX_TEXT => Err(Misfit::Long(length)),
        _ => Ok(text),
    }
}

/// A new file for a screenshot, named after the moment.
pub fn screenshot(directory: &str, unix_ms: u64) -> Result<Deed, Misfit> {
    if !directory.starts_with('/') || directory.contains(char::is_control) {
        return Err(Misfit::Directory);
    }
    Ok(Deed::Screenshot(format!("{}/midimon-{unix_ms}.png", directory.trim_end_matches('/'))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_much_is_said_by_percent_by_a_step_or_by_the_fader() {
        assert_eq!(change(Some(30), None, Some(1)), Ok(Change::To(30)));
        assert_eq!(change(None, Some(-5), Some(1)), Ok(Change::By(-5)));
        let at = |velocity| change(None, None, Some(velocity)).unwrap();
        assert_eq!([at(0), at(64), at(127), at(255)], [0, 50, 100, 100].map(Change::To));
        assert_eq!(change(None, None, None), Err(Misfit::Neither));
        assert_eq!(change(Some(1), Some(1), None), Err(Misfit::Both));
        for (percent, by) in
            [(Some(101), None), (Some(-1), None), (None, Some(101)), (None, Some(-101)), (Some(i64::MAX), None)]
        {
            assert!(matches!(change(percent, by, None), Err(Misfit::Range { .. })), "{percent:?} {by:?}");
        }
    }

    #[test]
    fn words_are_those_that_are_known() {
        assert_eq!(
            [switch(None), switch(Some("on")), switch(Some("off"))],
            [Switch::Toggle, Switch::On, Switch::Off].map(Ok)
        );
        assert_eq!([sound(None), sound(Some("microphone"))], [Sound::Output, Sound::Microphone].map(Ok));
        assert_eq!(urgency(Some("critical")), Ok(Urgency::Critical));
        assert_eq!(switch(Some("offf")).unwrap_err().to_string(), r#"'state' is "offf": it is one of on off toggle"#);
        assert!(sound(Some("mic")).is_err() && urgency(Some("")).is_err());
    }

    #[test]
    fn a_screenshot_goes_where_it_was_set_to() {
        assert_eq!(screenshot("/p/", 7), Ok(Deed::Screenshot("/p/midimon-7.png".into())));
        for directory in ["", "Pictures", "~/Pictures", "/a\nb"] {
            assert_eq!(screenshot(directory, 7), Err(Misfit::Directory), "{directory}");
        }
    }

    #[test]
    fn a_text_is_there_and_not_too_long() {
        assert_eq!(text(String::new()), Err(Misfit::Empty));
        assert!(text("x".repeat(MAX_TEXT)).is_ok());
        assert_eq!(text("x".repeat(MAX_TEXT + 1)), Err(Misfit::Long(MAX_TEXT + 1)));
    }
}
