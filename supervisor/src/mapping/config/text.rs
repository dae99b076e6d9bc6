//! Words for messages and labels.

use toml::de::DeValue;

/// Text from the file in back quotes: escaped, and cut when long.
pub(super) fn quoted(text: &str) -> String {
    format!("`{}`", cut(text, 60))
}

/// At most so many characters of a text, control characters escaped.
pub(super) fn cut(text: &str, most: usize) -> String {
    let mut shown: String = text.chars().take(most).flat_map(char::escape_debug).collect();
    if text.chars().nth(most).is_some() {
        shown.push('…');
    }
    // quotes need no escape here
    shown.replace("\\\"", "\"").replace("\\'", "'")
}

/// A value's type with its article.
pub(super) fn a(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
