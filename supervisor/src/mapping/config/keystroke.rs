//! `action = { type = "Keystroke", … }`.

use super::codes::Code;
use super::diagnostic::Diagnostic;
use super::text::cut;
use super::walker::{Field, Table};
use crate::action::keys::Key;
use crate::mapping::types::Keystroke;

/// Keys one action can click.
const MOST: usize = 32;

/// Names, as [`Key`] shows them, of the keys that are held rather than clicked.
const MODIFIERS: [&str; 9] =
    ["ctrl", "right_ctrl", "shift", "right_shift", "alt", "alt_gr", "meta", "right_meta", "fn"];

/// Reads `keys = "ctrl+shift+b"` and `modifiers = […]`.
pub(super) fn keystroke(table: &mut Table<'_>) -> Option<(Keystroke, String)> {
    table.call("a Keystroke action");
    let keys = table.take("keys").required();
    let text = keys.clone().text(256);
    let clicked = text.map(|text| split(text).into_iter().map(|name| key(&keys, name)).collect::<Option<Vec<_>>>());
    let held = modifiers(table.take("modifiers"));
    let (text, clicked, held) = (text?, clicked??, held?);
    if clicked.len() + held.len() > MOST {
        keys.error(Code::TooMany, format!("a Keystroke can have {MOST} keys at most"));
        return None;
    }
    let mut label = String::from("Keystroke ");
    for modifier in &held {
        label += &format!("{modifier}+");
    }
    Some((arrange(clicked, held), label + &cut(text, 40)))
}

/// Keys written as in `keys`, from somewhere other than a configuration.
///
/// # Errors
/// A name is no key's, or there are too many; for whoever wrote it.
pub fn parse_keystroke(text: &str) -> Result<Keystroke, String> {
    let clicked = split(text).into_iter().map(str::parse).collect::<Result<Vec<Key>, _>>();
    match clicked.map_err(|error| error.to_string())? {
        clicked if clicked.is_empty() => Err("there is no key in it".to_owned()),
        clicked if clicked.len() > MOST => Err(format!("a keystroke can have {MOST} keys at most")),
        clicked => Ok(arrange(clicked, Vec::new())),
    }
}

/// Modifiers are held, whatever their place; one alone is clicked.
fn arrange(clicked: Vec<Key>, mut held: Vec<Key>) -> Keystroke {
    let (mut modifiers, mut keys): (Vec<_>, Vec<_>) = clicked.into_iter().partition(is_modifier);
    if keys.is_empty() {
        keys.extend(modifiers.pop());
    }
    held.extend(modifiers);
    let mut unique = Vec::with_capacity(held.len());
    for modifier in held {
        if !unique.contains(&modifier) {
            unique.push(modifier);
        }
    }
    Keystroke { modifiers: unique, keys }
}

fn modifiers(field: Field<'_>) -> Option<Vec<Key>> {
    if !field.is_present() {
        return Some(Vec::new());
    }
    let one = |element: Field<'_>| {
        let key = key(&element, element.clone().text(64)?)?;
        if !is_modifier(&key) {
            let error = Diagnostic::error(Code::UnknownKeyName, element.span(), format!("`{key}` is not a modifier"));
            element.context.report(error.help("modifiers are ctrl, shift, alt, alt_gr, meta (cmd) and fn"));
            return None;
        }
        Some(key)
    };
    // every wrong one is reported, not just the first
    let read: Vec<_> = field.elements().map(one).collect();
    read.into_iter().collect()
}

fn key(field: &Field<'_>, name: &str) -> Option<Key> {
    match name.parse::<Key>() {
        Ok(key) => Some(key),
        Err(error) => {
            field.error(Code::UnknownKeyName, error.to_string());
            None
        }
    }
}

fn is_modifier(key: &Key) -> bool {
    MODIFIERS.contains(&key.to_string().as_str())
}

/// Splits at `+`; a `+` where a name should be is that key.
fn split(text: &str) -> Vec<&str> {
    match text.trim() {
        "+" => vec!["+"],
        text => match text.strip_suffix("++") {
            Some(before) => before.split('+').map(str::trim).chain(["+"]).collect(),
            None => text.split('+').map(str::trim).collect(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn plus_is_a_key_where_a_name_should_be() {
        assert_eq!(split("ctrl+shift+b"), ["ctrl", "shift", "b"]);
        assert_eq!(split("ctrl++"), ["ctrl", "+"]);
        assert_eq!(split(" ctrl + a "), ["ctrl", "a"]);
        assert_eq!(split("+"), ["+"]);
    }

    #[test]
    fn modifiers_are_held_and_one_alone_is_clicked() {
        let keys = |text: &str| split(text).iter().map(|name| name.parse().unwrap()).collect::<Vec<Key>>();
        let names = |keys: &[Key]| keys.iter().map(Key::to_string).collect::<Vec<_>>();
        let stroke = arrange(keys("ctrl+a+b"), keys("cmd"));
        assert_eq!(
            (names(&stroke.modifiers), names(&stroke.keys)),
            (vec!["meta".into(), "ctrl".into()], vec!["a".into(), "b".into()])
        );
        let alone = arrange(keys("super"), vec![]);
        assert_eq!((names(&alone.modifiers), names(&alone.keys)), (vec![], vec!["meta".to_string()]));
    }

    #[test]
    fn what_a_plugin_writes_is_told_without_what_acts_on_a_terminal() {
        assert!(
            parse_keystroke("ctrl+\u{1b}[2J\u{202e}").unwrap_err().starts_with(r#"unknown key "\u{1b}[2J\u{202e}""#)
        );
        assert!(parse_keystroke("").is_err() && parse_keystroke(&"a+".repeat(MOST)).is_err());
        assert!(parse_keystroke(&vec!["a"; MOST].join("+")).is_ok());
        assert!(parse_keystroke(&vec!["a"; MOST + 1].join("+")).unwrap_err().contains("at most"));
    }

    proptest! {
        #[test]
        fn what_is_read_is_bounded_and_its_names_are_read_as_the_same(
            text in "(([a-z5]|ctrl|Shift|cmd|f5|alt_gr|\\PC)[ +]?\\+?){0,12}(?s).{0,3}",
        ) {
            match parse_keystroke(&text) {
                Ok(stroke) => {
                    let names: Vec<String> = stroke.modifiers.iter().chain(&stroke.keys).map(Key::to_string).collect();
                    prop_assert!(!stroke.keys.is_empty() && names.len() <= MOST);
                    if names.iter().all(|name| name != "+") {
                        prop_assert_eq!(parse_keystroke(&names.join("+")), Ok(stroke));
                    }
                }
                Err(said) => prop_assert!(!said.chars().any(char::is_control), "{:?}", said),
            }
        }
    }
}
