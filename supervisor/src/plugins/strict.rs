//! Reads midimon's own TOML files as strictly as a stranger's manifest: every
//! mistake is named with its place, and what is not understood is not guessed.

use super::files::{FileError, read_regular};
use super::manifest::Problem;
use super::manifest::walk::{Document, Table};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use toml::de::DeTable;

/// Why a file of midimon's own is not used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum StrictError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: FileError },
    #[error("{}: is not UTF-8 text", path.display())]
    NotText { path: PathBuf },
    /// Every mistake, in the order of the text.
    #[error("{}", lines(path, problems))]
    Invalid { path: PathBuf, problems: Vec<Problem> },
    #[error("{}: is left as it is, as what was to be written could not be read again{}", path.display(), why(problems))]
    Unreadable { path: PathBuf, problems: Vec<Problem> },
}

fn why(problems: &[Problem]) -> String {
    problems.first().map_or_else(String::new, |problem| format!(": {}", problem.message))
}

fn lines(path: &Path, problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{}:{problem}", path.display())).collect::<Vec<_>>().join("\n")
}

/// Reads a text with `read`, which takes every key it knows out of the table and finishes it.
///
/// # Errors
/// Every mistake, never an empty list.
pub(in crate::plugins) fn parse<T>(
    text: &str,
    read: impl for<'d> FnOnce(&'d Document<'d>, Table<'d>) -> Option<T>,
) -> Result<T, Vec<Problem>> {
    let document = Document::new(text);
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        document.report(&error.span().unwrap_or(0..0), error.message());
    }
    let value = if errors.is_empty() { read(&document, Table::new(&document, &root)) } else { None };
    let problems = document.into_problems();
    match value {
        Some(value) if problems.is_empty() => Ok(value),
        _ => Err(problems),
    }
}

/// Reads and parses the regular file `name` in an opened directory; `None` when there is none.
/// `path` is for messages.
///
/// # Errors
/// See [`StrictError`].
pub(in crate::plugins) fn read<T>(
    dir: impl AsFd,
    name: &str,
    path: &Path,
    limit: u64,
    parse: impl FnOnce(&str) -> Result<T, Vec<Problem>>,
) -> Result<Option<T>, StrictError> {
    let path = || path.to_owned();
    let bytes = match read_regular(dir, name, limit) {
        Ok(bytes) => bytes,
        Err(FileError::Missing) => return Ok(None),
        Err(source) => return Err(StrictError::File { path: path(), source }),
    };
    let text = String::from_utf8(bytes).map_err(|_| StrictError::NotText { path: path() })?;
    parse(&text).map(Some).map_err(|problems| StrictError::Invalid { path: path(), problems })
}

/// That `text`, which is about to be written to `path`, will be read as `value`. A file
/// that is refused when it is read would lock its owner out.
///
/// # Errors
/// [`StrictError::Unreadable`]; nothing must be written then.
pub(in crate::plugins) fn reads_back<T: PartialEq>(
    value: &T,
    text: &str,
    path: &Path,
    parse: impl FnOnce(&str) -> Result<T, Vec<Problem>>,
) -> Result<(), StrictError> {
    let problems = match parse(text) {
        Ok(read) if read == *value => return Ok(()),
        Ok(_) => Vec::new(),
        Err(problems) => problems,
    };
    Err(StrictError::Unreadable { path: path.to_owned(), problems })
}

/// Checks `schema = 1`, with which each of these files begins.
pub(in crate::plugins) fn schema(root: &mut Table<'_>) -> Option<()> {
    let schema = root.require("schema")?;
    if schema.integer(1..=i64::MAX)? == 1 {
        return Some(());
    }
    schema.report("this file was written by a newer midimon; use that one");
    None
}

/// A text as TOML writes it.
pub(in crate::plugins) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
