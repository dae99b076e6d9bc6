//! What a key, or a line, asks for.

use crate::control::protocol::Params;
use crate::mapping::config::params::from_toml;

/// Actions that have a key.
pub const MOST: usize = 9;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Press {
    /// The action with this index.
    Action(usize),
    /// The last call once more.
    Again,
    Rebuild,
    Help,
    End,
    /// A key that means nothing.
    Nothing,
}

/// What a byte from the keyboard asks for, where there are so many actions.
pub fn press(byte: u8, actions: usize) -> Press {
    match byte {
        b'1'..=b'9' => {
            let index = usize::from(byte - b'1');
            if index < actions { Press::Action(index) } else { Press::Nothing }
        }
        b' ' => Press::Again,
        b'r' | b'R' => Press::Rebuild,
        b'h' | b'H' | b'?' => Press::Help,
        // Ctrl-D too
        b'q' | b'Q' | 4 => Press::End,
        _ => Press::Nothing,
    }
}

/// A line's action and parameters; nothing in an empty line or one that begins with `#`.
pub fn call_of(line: &str) -> Result<Option<(String, Params)>, String> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (action, params) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let params = from_toml(params).map_err(|error| format!("{action}: its parameters: {error}"))?;
    Ok(Some((action.to_owned(), params)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_an_action_that_is_there() {
        assert_eq!((press(b'1', 1), press(b'2', 1)), (Press::Action(0), Press::Nothing));
        assert_eq!((press(b'9', 20), press(b'0', 20)), (Press::Action(8), Press::Nothing));
        assert_eq!(press(b'1', 0), Press::Nothing);
        let keys = [b' ', b'r', b'?', b'q', 4, 0x1b].map(|byte| press(byte, 1));
        let meant = [Press::Again, Press::Rebuild, Press::Help, Press::End, Press::End, Press::Nothing];
        assert_eq!(keys, meant);
    }

    #[test]
    fn a_line_is_an_action_and_its_parameters() {
        let read = |line: &str| call_of(line).map(|call| call.map(|(action, params)| (action, params.len())));
        assert_eq!(read("greet name = 'Ada'\n"), Ok(Some(("greet".into(), 1))));
        assert_eq!(read("greet { a = 1, b = 2 }"), Ok(Some(("greet".into(), 2))));
        assert_eq!(read("  greet  "), Ok(Some(("greet".into(), 0))));
        assert_eq!((read("  "), read("# greet")), (Ok(None), Ok(None)));
        assert!(read("greet name = ").unwrap_err().starts_with("greet: its parameters: "));
    }
}
