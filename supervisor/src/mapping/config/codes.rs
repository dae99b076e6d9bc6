//! The stable codes of diagnostics, each with the text `midimon explain` prints.

use serde::Serialize;

macro_rules! codes {
    ($($name:ident = $id:literal: $text:literal)*) => {
        /// What kind of mistake a diagnostic reports. A code never changes its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs)] // the table below says what each one is
        pub enum Code { $($name),* }

        impl Code {
            /// Every code, in order.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code as shown, such as `MM0103`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $id),* }
            }

            /// What it means and what to do.
            #[must_use]
            pub const fn explanation(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }
    };
}

codes! {
    Unreadable = "MM0001": "The configuration file could not be opened or read. Check that the path is right, that it is \
        a regular file, and that you may read it."
    TooLarge = "MM0002": "A configuration file may have 4 MiB at most."
    NotUtf8 = "MM0003": "A configuration file must be UTF-8 text. Save it as UTF-8 in your editor."
    Syntax = "MM0004": "The file is not valid TOML at this place: often a missing quote, a missing bracket, or a key \
        that is there twice."
    NewerSchema = "MM0005": "The file says it needs a newer midimon than this one. Update midimon, or set `schema` to the \
        version named in the message."

    MissingKey = "MM0101": "A key that must be there is missing from this table."
    WrongType = "MM0102": "The value is of another type than the key needs, for example a text in quotes where a number \
        belongs."
    UnknownKey = "MM0103": "The table has no such key. Unknown keys are errors, so that a misspelt one cannot be ignored \
        silently. docs/configuration.md and docs/actions.md list every key."
    OutOfRange = "MM0104": "The number is outside of the range that is possible here. MIDI notes, velocities and \
        controller values go from 0 to 127, pitch bend from 0 to 16383."
    UnknownChoice = "MM0105": "The text is none of the choices this key has."
    Conflict = "MM0106": "Two keys say the same thing in different ways. Keep one of them."
    NotSupported = "MM0107": "This trigger, action or key is known, but this version of midimon does not have it yet. \
        Remove the mapping, or wait for a later version."
    BadText = "MM0108": "The text is empty, too long, or has characters that cannot be used here."
    BadChannel = "MM0109": "MIDI channels. With `schema = 1` they are 1 to 16 everywhere, as devices show them. Without \
        `schema`, the file follows older rules: SendMidi counts channels from 0 to 15 and a trigger takes any \
        channel. Put `schema = 1` at the top of the file to name channels in triggers."
    BadRange = "MM0110": "A range is written \"80..=127\": from, two dots, an equal sign, to, both ends included. Either end \
        may be left out. The first number must not be larger than the second."
    TooMany = "MM0111": "There are more of these than midimon can hold."
    TooDeep = "MM0112": "Sequence and Repeat may lie inside each other 16 levels deep."

    UnknownMode = "MM0201": "A ModeChange action names a mode that no `[[modes]]` table has."
    DuplicateName = "MM0202": "Two modes, devices, mappings or plugins have the same name or id, so nothing could tell them \
        apart. In plugin ids, `-` and `_` count as the same character."
    Shadowed = "MM0203": "The first mapping that matches takes the event. An earlier one matches everything this one \
        would, so this one never fires. Remove one of the two, or make the earlier one narrower."
    UnreachableMode = "MM0204": "No ModeChange action leads to this mode, so only `midimon mode NAME` does, or a plugin \
        with the grant `mode`."
    BadPluginId = "MM0205": "A plugin id has 2 to 64 characters of a-z, 0-9, `-` and `_`, the first one a letter or digit."
    UnknownKeyName = "MM0206": "A Keystroke names a key that does not exist. Keys are single characters, or names such as \
        space, enter, f5, ctrl, volume_up."
    UnknownDevice = "MM0207": "A trigger names a device that no `[device]` or `[[devices]]` table has as its alias."
    NoRelease = "MM0208": "Only notes are released. A knob, wheel, pedal, program change or event of a plugin has no \
        release an action could run on."
    BadGrant = "MM0209": "A grant is `kind` or `kind:target`: filesystem, network:HOST:PORT, midi:PORT NAME, \
        subprocess:PROGRAM, input, system-control, audio, mode."
    TooLong = "MM0210": "Written out, with every repetition, a mapping may have 10,000 steps, and a configuration 1,000,000."
    NoEffect = "MM0211": "The setting is understood, but changes nothing in this version of midimon, or where it stands."
    DoesNothing = "MM0212": "Written out, the action of this mapping has no step that does anything."
    ProgramNotFound = "MM0213": "The program is in none of the folders of PATH, so the action would fail. Install it, or \
        write its full path."
    UnknownPlugin = "MM0214": "No plugin of this id is installed or in the folder `dir` of [plugins], so what is mapped to it \
        does nothing. Install it, or correct the name: `midimon plugin list` shows what is installed."
    UnknownAction = "MM0215": "The plugin's manifest lists its actions, and this one is not among them, so the plugin will most \
        likely refuse it. Correct the name, or update the plugin if a newer version has it."
    BadParams = "MM0216": "The parameters do not fit what the plugin's manifest says of this action: one that it needs is \
        missing, is of another type, or is unknown. The call is made all the same; what the plugin makes of it is its own \
        affair."
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What a code such as `MM0103` means; upper or lower case. `None` for no code.
#[must_use]
pub fn explain(code: &str) -> Option<&'static str> {
    Code::ALL.iter().find(|known| known.as_str().eq_ignore_ascii_case(code)).map(|known| known.explanation())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_ordered_and_explained() {
        assert!(Code::ALL.windows(2).all(|pair| pair[0].as_str() < pair[1].as_str()));
        assert!(Code::ALL.iter().all(|code| code.explanation().ends_with('.')));
        assert!(explain("mm0103").is_some_and(|text| text.contains("misspelt")));
        assert_eq!(explain("MM9999"), None);
    }
}
