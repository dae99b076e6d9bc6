//! Walks a TOML document and remembers where everything stood, so that every
//! mistake is reported at once and in its place (serde stops at the first and
//! loses positions inside tagged tables).

use super::Problem;
use midimon_shared::text::unshowable;
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::ops::{Range, RangeInclusive};
use std::str::FromStr;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Mistakes that are reported; finding the line of each costs a walk over the text.
const MAX_PROBLEMS: usize = 100;

/// The document's text and what is wrong with it so far.
pub(in crate::plugins) struct Document<'s> {
    source: &'s str,
    problems: RefCell<Vec<Problem>>,
}

impl<'s> Document<'s> {
    pub(in crate::plugins) fn new(source: &'s str) -> Self {
        Self { source, problems: RefCell::default() }
    }

    pub(in crate::plugins) fn report(&self, span: &Range<usize>, message: impl Into<String>) {
        if self.problems.borrow().len() >= MAX_PROBLEMS {
            return;
        }
        let before = self.source.get(..span.start).unwrap_or(self.source);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        self.problems.borrow_mut().push(Problem {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: message.into(),
        });
    }

    /// Everything reported, in the order of the text.
    pub(in crate::plugins) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| (problem.line, problem.column));
        problems
    }
}

/// A table, from which fields are taken; [`Table::finish`] reports the rest.
pub(in crate::plugins) struct Table<'d> {
    document: &'d Document<'d>,
    span: Range<usize>,
    entries: &'d DeTable<'d>,
    known: Vec<&'static str>,
}

impl<'d> Table<'d> {
    pub(in crate::plugins) fn new(document: &'d Document<'d>, table: &'d Spanned<DeTable<'d>>) -> Self {
        Self { document, span: table.span(), entries: table.get_ref(), known: Vec::new() }
    }

    /// The field `key`, when it is there.
    pub(in crate::plugins) fn take(&mut self, key: &'static str) -> Option<Field<'d>> {
        self.known.push(key);
        let value = self.entries.get(key)?;
        Some(Field { document: self.document, key, value })
    }

    /// The field `key`; reported when it is missing.
    pub(in crate::plugins) fn require(&mut self, key: &'static str) -> Option<Field<'d>> {
        let field = self.take(key);
        if field.is_none() {
            self.document.report(&self.span, format!("`{key}` is missing"));
        }
        field
    }

    /// Reports every key that was not asked for.
    pub(in crate::plugins) fn finish(self) {
        for key in self.entries.keys() {
            let name = key.get_ref().as_ref();
            if self.known.contains(&name) {
                continue;
            }
            let similar = |known: &&&str| strsim::damerau_levenshtein(known, name) <= 2;
            let help = match self.known.iter().find(similar) {
                Some(known) => format!("did you mean `{known}`?"),
                None => format!("known here: {}", self.known.join(", ")),
            };
            let shown: String = name.chars().take(80).collect();
            self.document.report(&key.span(), format!("unknown key `{}`; {help}", shown.escape_debug()));
        }
    }
}

/// One value with its key.
pub(in crate::plugins) struct Field<'d> {
    document: &'d Document<'d>,
    key: &'static str,
    value: &'d Spanned<DeValue<'d>>,
}

impl<'d> Field<'d> {
    pub(in crate::plugins) fn report(&self, message: impl Into<String>) {
        self.document.report(&self.value.span(), message);
    }

    fn expected<T>(&self, what: &str) -> Option<T> {
        self.report(format!("`{}` must be {what}, not {}", self.key, self.value.get_ref().type_str()));
        None
    }

    /// A text that can be shown in one line, of at most `max` characters.
    pub(in crate::plugins) fn text(&self, max: usize) -> Option<String> {
        let Some(text) = self.value.get_ref().as_str() else {
            return self.expected("a text");
        };
        let fault = if text.trim().is_empty() {
            "is empty".to_owned()
        } else if text.chars().count() > max {
            format!("is over {max} characters")
        } else if let Some(bad) = unshowable(text) {
            format!("has the character U+{:04X}, which cannot be shown safely", u32::from(bad))
        } else {
            return Some(text.to_owned());
        };
        self.report(format!("`{}` {fault}", self.key));
        None
    }

    /// A text of at most 256 characters that has a type of its own.
    pub(in crate::plugins) fn parse<T: FromStr<Err: std::fmt::Display>>(&self) -> Option<T> {
        match self.text(256)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.report(format!("`{}`: {error}", self.key));
                None
            }
        }
    }

    /// One of several words.
    pub(in crate::plugins) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(256)?;
        let found = choices.iter().find(|(word, _)| *word == text);
        if found.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            self.report(format!("`{}` must be one of: {}", self.key, words.join(", ")));
        }
        found.map(|(_, value)| *value)
    }

    pub(in crate::plugins) fn integer(&self, range: RangeInclusive<i64>) -> Option<i64> {
        let Some(integer) = self.value.get_ref().as_integer() else {
            return self.expected("a whole number");
        };
        let value = i64::from_str_radix(integer.as_str(), integer.radix()).ok().filter(|value| range.contains(value));
        if value.is_none() {
            self.report(format!("`{}` must be from {} to {}", self.key, range.start(), range.end()));
        }
        value
    }

    pub(in crate::plugins) fn boolean(&self) -> Option<bool> {
        self.value.get_ref().as_bool().or_else(|| self.expected("true or false"))
    }

    /// Each entry of an array of at most `max`.
    pub(in crate::plugins) fn items(&self, max: usize) -> Vec<Field<'d>> {
        let Some(array) = self.value.get_ref().as_array() else {
            return self.expected::<Vec<_>>("an array").unwrap_or_default();
        };
        if array.len() > max {
            self.report(format!("`{}` has more than {max} entries", self.key));
        }
        let field = |value| Field { document: self.document, key: self.key, value };
        array.iter().take(max).map(field).collect()
    }

    pub(in crate::plugins) fn table(&self) -> Option<Table<'d>> {
        match self.value.get_ref() {
            DeValue::Table(entries) => {
                Some(Table { document: self.document, span: self.value.span(), entries, known: Vec::new() })
            }
            _ => self.expected("a table"),
        }
    }

    /// Each table of an array of at most `max`.
    pub(in crate::plugins) fn tables(&self, max: usize) -> Vec<Table<'d>> {
        self.items(max).iter().filter_map(Field::table).collect()
    }

    /// Names with their texts, at most `max` of them.
    pub(in crate::plugins) fn named_texts(&self, max: usize) -> Vec<(&'d str, Field<'d>)> {
        let Some(table) = self.value.get_ref().as_table() else {
            return self.expected::<Vec<_>>("a text or a table of texts").unwrap_or_default();
        };
        let field = |value| Field { document: self.document, key: self.key, value };
        table.iter().take(max).map(|(name, value)| (name.get_ref().as_ref(), field(value))).collect()
    }

    pub(in crate::plugins) fn is_text(&self) -> bool {
        self.value.get_ref().is_str()
    }

    /// The value as JSON, which is what a plugin gets.
    pub(in crate::plugins) fn json(&self) -> Option<Value> {
        let value = to_json(self.value.get_ref());
        if value.is_none() {
            self.report(format!("`{}` has a number or date that JSON cannot carry", self.key));
        }
        value
    }
}

fn to_json(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix()).ok()?.into(),
        DeValue::Float(float) => serde_json::Number::from_f64(float.as_str().parse().ok()?)?.into(),
        DeValue::Boolean(boolean) => Value::Bool(*boolean),
        DeValue::Datetime(_) => return None,
        DeValue::Array(array) => array.iter().map(|item| to_json(item.get_ref())).collect::<Option<Vec<_>>>()?.into(),
        DeValue::Table(table) => Value::Object(
            table
                .iter()
                .map(|(key, item)| Some((key.get_ref().to_string(), to_json(item.get_ref())?)))
                .collect::<Option<Map<_, _>>>()?,
        ),
    })
}
