//! Takes a parsed document apart, key by key, and reports what is wrong with
//! each at its own place. Every mistake is found in one pass: a field that is
//! wrong gives `None`, and the walk goes on.

use super::codes::Code;
use super::diagnostic::{Diagnostic, Severity, Sink};
use super::params::Entry;
use super::text::{a, quoted};
use std::ops::{Range, RangeInclusive};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(super) type Span = Range<usize>;

/// As many keys as most tables may have: room for them is made at once.
const USUAL_KEYS: usize = 8;

/// The rules a file is read by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schema {
    /// No `schema`: SendMidi counts channels from 0, triggers take any.
    Compatible,
    /// `schema = 1`: channels are 1 to 16 everywhere.
    One,
}

/// What every part of the walk needs.
#[derive(Clone, Copy)]
pub(super) struct Context<'w> {
    pub sink: &'w Sink,
    pub schema: Schema,
    /// Whether a program can be found, for warnings.
    pub program_exists: &'w dyn Fn(&str) -> bool,
}

impl Context<'_> {
    pub fn report(&self, diagnostic: Diagnostic) {
        self.sink.push(diagnostic);
    }

    pub fn error(&self, code: Code, span: Span, message: impl Into<String>) {
        self.report(Diagnostic::error(code, span, message));
    }
}

/// A table of which each key is taken once.
pub(super) struct Table<'w> {
    pub context: Context<'w>,
    entries: &'w DeTable<'w>,
    span: Span,
    /// What it is, for messages: "a Note trigger".
    what: &'static str,
    known: Vec<&'static str>,
}

impl<'w> Table<'w> {
    pub fn new(context: Context<'w>, table: &'w Spanned<DeTable<'w>>) -> Self {
        Self::of(context, table.get_ref(), table.span(), "the file")
    }

    fn of(context: Context<'w>, entries: &'w DeTable<'w>, span: Span, what: &'static str) -> Self {
        Self { context, entries, span, what, known: Vec::with_capacity(USUAL_KEYS) }
    }

    /// Says what it turned out to be.
    pub fn call(&mut self, what: &'static str) {
        self.what = what;
    }

    pub fn span(&self) -> Span {
        self.span.clone()
    }

    /// A key's value, if it is there. Every key asked for is one the table may have.
    pub fn take(&mut self, key: &'static str) -> Field<'w> {
        self.known.push(key);
        Field { context: self.context, key, table: self.span.clone(), what: self.what, value: self.entries.get(key) }
    }

    /// The keys nobody asked for, in the order written, with their values.
    pub fn others(&self) -> Vec<Entry<'w, 'w>> {
        let mut others: Vec<_> =
            self.entries.iter().filter(|(key, _)| !self.known.contains(&key.get_ref().as_ref())).collect();
        others.sort_by_key(|(key, _)| key.span().start);
        others
    }

    /// A value from [`Self::others`] as the table it is.
    pub fn other(&self, value: &'w Spanned<DeValue<'w>>, what: &'static str) -> Option<Table<'w>> {
        Some(Self::of(self.context, value.get_ref().as_table()?, value.span(), what))
    }

    /// Reports every key that was not asked for.
    pub fn finish(self) {
        for (key, _) in self.others() {
            let name = key.get_ref();
            let error =
                Diagnostic::error(Code::UnknownKey, key.span(), format!("{} has no key {}", self.what, quoted(name)));
            self.context.report(match closest(name, self.known.iter().copied()) {
                Some(known) => {
                    error.label("unknown key").help(format!("did you mean `{known}`?")).suggest(key.span(), known)
                }
                None => error.label("unknown key").help(format!("it may have: {}", self.known.join(", "))),
            });
        }
    }
}

/// One key's value, or its absence.
#[derive(Clone)]
pub(super) struct Field<'w> {
    pub context: Context<'w>,
    pub key: &'static str,
    table: Span,
    what: &'static str,
    value: Option<&'w Spanned<DeValue<'w>>>,
}

impl<'w> Field<'w> {
    pub fn is_present(&self) -> bool {
        self.value.is_some()
    }

    /// Where the value is, or the table it is missing from.
    pub fn span(&self) -> Span {
        self.value.map_or_else(|| self.table.clone(), Spanned::span)
    }

    pub fn value(&self) -> Option<&'w DeValue<'w>> {
        self.value.map(Spanned::get_ref)
    }

    /// Reports the key as missing if it is.
    pub fn required(self) -> Self {
        if self.value.is_none() {
            let message = format!("{} needs the key `{}`", self.what, self.key);
            let error = Diagnostic::error(Code::MissingKey, self.table.clone(), message);
            self.context.report(error.label(format!("`{}` is missing here", self.key)));
        }
        self
    }

    pub fn error(&self, code: Code, message: impl Into<String>) {
        self.context.error(code, self.span(), message);
    }

    pub fn warn(&self, code: Code, message: impl Into<String>, help: impl Into<String>) {
        let warning = Diagnostic::new(Severity::Warning, code, self.span(), message);
        self.context.report(warning.help(help));
    }

    /// Says that the setting has no effect, if it is there.
    pub fn note_no_effect(&self, why: &str) {
        if self.value.is_some() {
            let note = Diagnostic::new(Severity::Note, Code::NoEffect, self.span(), format!("`{}` {why}", self.key));
            self.context.report(note);
        }
    }

    pub fn wrong_type(&self, expected: &str) {
        let Some(value) = self.value else { return };
        let found = value.get_ref();
        let message = format!("`{}` must be {expected}", self.key);
        let error = Diagnostic::error(Code::WrongType, value.span(), message).label(format!("this is {}", a(found)));
        self.context.report(match found.as_str() {
            // 60 in quotes
            Some(text) if expected.contains("integer") && text.parse::<i64>().is_ok() => {
                error.help("numbers are written without quotes").suggest(value.span(), text)
            }
            _ => error,
        });
    }

    /// A whole number within a range.
    pub fn number<N: TryFrom<i64>>(self, range: RangeInclusive<i64>) -> Option<N> {
        let integer = match self.value? {
            value if value.get_ref().is_integer() => value.get_ref().as_integer()?,
            _ => {
                self.wrong_type("an integer");
                return None;
            }
        };
        let number = i64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix()).ok();
        let within = number.filter(|number| range.contains(number)).and_then(|number| N::try_from(number).ok());
        if within.is_none() {
            let (start, end) = (range.start(), range.end());
            self.error(Code::OutOfRange, format!("`{}` must be {start} to {end}, not {integer}", self.key));
        }
        within
    }

    pub fn boolean(self) -> Option<bool> {
        let value = self.value?.get_ref().as_bool();
        if value.is_none() {
            self.wrong_type("true or false");
        }
        value
    }

    /// Any text up to a number of bytes, without NUL.
    pub fn text(self, longest: usize) -> Option<&'w str> {
        let Some(text) = self.value?.get_ref().as_str() else {
            self.wrong_type("a text in quotes");
            return None;
        };
        let why = if text.is_empty() {
            "is empty".to_owned()
        } else if text.len() > longest {
            format!("has {} bytes; at most {longest} are possible", text.len())
        } else if text.contains('\0') {
            "has a NUL character".to_owned()
        } else {
            return Some(text);
        };
        self.error(Code::BadText, format!("`{}` {why}", self.key));
        None
    }

    /// What something is called: one line of 128 bytes at most.
    pub fn name(self) -> Option<&'w str> {
        self.line(128)
    }

    /// A text in one line: not blank, no control characters.
    pub fn line(self, longest: usize) -> Option<&'w str> {
        let text = self.clone().text(longest)?;
        if text.trim().is_empty() || text.chars().any(char::is_control) {
            self.error(Code::BadText, format!("`{}` is blank or has control characters", self.key));
            return None;
        }
        Some(text)
    }

    /// One of several words.
    pub fn choice<T: Copy>(self, choices: &[(&'static str, T)]) -> Option<T> {
        let Some(text) = self.value?.get_ref().as_str() else {
            self.wrong_type("a text in quotes");
            return None;
        };
        let chosen = choices.iter().find(|(name, _)| *name == text);
        if chosen.is_none() {
            let names = || choices.iter().map(|&(name, _)| name);
            let message = format!("`{}` cannot be {}", self.key, quoted(text));
            let error = Diagnostic::error(Code::UnknownChoice, self.span(), message);
            self.context.report(match closest(text, names()) {
                Some(name) => {
                    error.help(format!("did you mean \"{name}\"?")).suggest(self.span(), format!("\"{name}\""))
                }
                None => error.help(format!("it can be: {}", names().collect::<Vec<_>>().join(", "))),
            });
        }
        chosen.map(|&(_, value)| value)
    }

    pub fn table(self, what: &'static str) -> Option<Table<'w>> {
        let value = self.value?;
        let entries = value.get_ref().as_table();
        if entries.is_none() {
            self.wrong_type("a table");
        }
        entries.map(|entries| Table::of(self.context, entries, value.span(), what))
    }

    /// The elements of an array; none if it is missing or no array.
    pub fn elements(self) -> impl Iterator<Item = Field<'w>> {
        let array = self.value.and_then(|value| value.get_ref().as_array());
        if array.is_none() {
            self.wrong_type("an array");
        }
        let elements = array.into_iter().flat_map(|array| array.iter());
        elements.map(move |value| Field { value: Some(value), ..self.clone() })
    }
}

/// The known word most like a misspelt one, if one is like it at all.
pub(super) fn closest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    // a long word is like none, and would take long to compare
    if word.len() > 64 {
        return None;
    }
    let lower = word.to_lowercase();
    known
        .map(|known| (strsim::jaro_winkler(&lower, &known.to_lowercase()), known))
        .filter(|&(likeness, _)| likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, known)| known)
}
