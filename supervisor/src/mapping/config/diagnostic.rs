//! What is wrong with a configuration, where, and what to do about it.

use super::codes::Code;
use serde::Serialize;
use serde::ser::{SerializeSeq, Serializer};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// Probably not what was meant.
    Warning,
    /// The configuration cannot be used.
    Error,
}

/// One mistake, or one thing worth saying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Which kind.
    pub code: Code,
    /// How bad.
    pub severity: Severity,
    /// One sentence.
    pub message: String,
    /// Bytes of the source it is about.
    pub span: Range<usize>,
    /// What to write beside the underlined text; may be empty.
    pub label: String,
    /// A second place that matters, with its own label.
    pub related: Option<(Range<usize>, String)>,
    /// What to do.
    pub help: Option<String>,
    /// A text to put in the place of another.
    pub suggestion: Option<Suggestion>,
}

/// A text to put in the place of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suggestion {
    /// Bytes of the source to replace.
    pub span: Range<usize>,
    /// With what.
    pub replacement: String,
}

impl Diagnostic {
    pub(super) fn new(severity: Severity, code: Code, span: Range<usize>, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, severity, message, span, label: String::new(), related: None, help: None, suggestion: None }
    }

    pub(super) fn error(code: Code, span: Range<usize>, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, span, message)
    }

    pub(super) fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn related(mut self, span: Range<usize>, label: impl Into<String>) -> Self {
        self.related = Some((span, label.into()));
        self
    }

    pub(super) fn suggest(mut self, span: Range<usize>, replacement: impl Into<String>) -> Self {
        let replacement = replacement.into();
        self.help.get_or_insert_with(|| format!("write `{replacement}`"));
        self.suggestion = Some(Suggestion { span, replacement });
        self
    }
}

/// Everything said about one file.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    file: String,
    source: Arc<str>,
    list: Vec<Diagnostic>,
    omitted: usize,
}

impl Diagnostics {
    /// How many diagnostics are kept; more are only counted.
    pub const KEPT: usize = 200;

    /// About a file whose text could not be had.
    pub(super) fn about_file(file: String, diagnostic: Diagnostic) -> Self {
        Self { file, source: Arc::from(""), list: vec![diagnostic], omitted: 0 }
    }

    pub(super) fn new(file: String, source: Arc<str>, sink: Sink) -> Self {
        let mut all = Self { file, source, list: sink.list.into_inner(), omitted: sink.omitted.get() };
        all.sort();
        all
    }

    /// About the same file, and empty.
    #[must_use]
    pub fn nothing_said(&self) -> Self {
        Self { file: self.file.clone(), source: Arc::clone(&self.source), list: Vec::new(), omitted: 0 }
    }

    /// Adds others about the same file.
    pub fn append(&mut self, others: Self) {
        self.omitted += others.omitted;
        others.list.into_iter().for_each(|diagnostic| self.add(|| diagnostic));
        self.sort();
    }

    /// Adds one about the same file, unless there is no room; then it is only counted.
    pub(super) fn add(&mut self, diagnostic: impl FnOnce() -> Diagnostic) {
        if self.list.len() < Self::KEPT {
            self.list.push(diagnostic());
        } else {
            self.omitted += 1;
        }
    }

    /// Puts them into the order of the file.
    pub(super) fn sort(&mut self) {
        self.list.sort_by_key(|diagnostic| diagnostic.span.start);
    }

    /// The file's name as given.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The text it is about.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// All that were kept, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// How many were not kept.
    #[must_use]
    pub fn omitted(&self) -> usize {
        self.omitted
    }

    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are of a severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        self.list.iter().filter(|diagnostic| diagnostic.severity == severity).count()
    }

    /// Line and column, both from 1, of a byte of the source; columns count characters.
    #[must_use]
    pub fn position(&self, byte: usize) -> (usize, usize) {
        let before = &self.source.as_bytes()[..byte.min(self.source.len())];
        let line_start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        // what continues a character in UTF-8 starts no column
        let column = before[line_start..].iter().filter(|&&byte| byte & 0xC0 != 0x80).count() + 1;
        (line, column)
    }
}

impl fmt::Display for Diagnostics {
    /// One line: where and what the first one of the worst is, and how many errors there are.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let worst = self.list.iter().rev().max_by_key(|diagnostic| diagnostic.severity);
        let Some(worst) = worst else {
            return write!(formatter, "{}: nothing to say", self.file);
        };
        let (line, column) = self.position(worst.span.start);
        write!(formatter, "{}:{line}:{column}: {} [{}]", self.file, worst.message, worst.code.as_str())?;
        match self.count(Severity::Error) {
            0 | 1 => Ok(()),
            errors => write!(formatter, " ({errors} errors in all)"),
        }
    }
}

impl std::error::Error for Diagnostics {}

#[derive(Serialize)]
struct Entry<'d> {
    file: &'d str,
    line: usize,
    column: usize,
    code: Code,
    severity: Severity,
    message: &'d str,
    help: Option<&'d str>,
}

impl Serialize for Diagnostics {
    /// An array with one object for each: file, line, column, code, severity, message, help.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut entries = serializer.serialize_seq(Some(self.list.len()))?;
        for Diagnostic { code, severity, message, span, help, .. } in &self.list {
            let (line, column) = self.position(span.start);
            let (file, help) = (self.file.as_str(), help.as_deref());
            entries.serialize_element(&Entry {
                file,
                line,
                column,
                code: *code,
                severity: *severity,
                message,
                help,
            })?;
        }
        entries.end()
    }
}

/// Where diagnostics are collected while a file is read.
#[derive(Debug, Default)]
pub(super) struct Sink {
    list: RefCell<Vec<Diagnostic>>,
    omitted: Cell<usize>,
    failed: Cell<bool>,
}

impl Sink {
    pub fn push(&self, diagnostic: Diagnostic) {
        let mut list = self.list.borrow_mut();
        self.failed.set(self.failed.get() || diagnostic.severity == Severity::Error);
        if list.len() < Diagnostics::KEPT {
            list.push(diagnostic);
        } else {
            self.omitted.set(self.omitted.get() + 1);
        }
    }

    pub fn into_iter(self) -> impl Iterator<Item = Diagnostic> {
        self.list.into_inner().into_iter()
    }

    /// Whether an error was among them.
    pub fn failed(&self) -> bool {
        self.failed.get()
    }
}
