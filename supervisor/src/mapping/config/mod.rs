//! The configuration file: read whole, every mistake found in one pass and
//! shown at its place, then compiled for the engine.
//!
//! The walk over the document keeps the place of every key and value, which
//! serde cannot: its errors inside tagged tables point at the table's header.

mod action;
mod calls;
mod checks;
mod codes;
mod compile;
mod diagnostic;
mod document;
mod keystroke;
mod midi_out;
mod model;
pub mod params;
mod plugins;
mod render;
mod text;
mod trigger;
mod walker;

pub use calls::{CallFault, CallPart, KnownPlugins, PluginCalls};
pub use codes::{Code, explain};
pub use diagnostic::{Diagnostic, Diagnostics, Severity, Suggestion};
pub use document::Logging;
pub use keystroke::parse_keystroke;
pub use plugins::PluginSettings;

use super::compiled::Compiled;
use diagnostic::Sink;
use midimon_shared::PluginId;
use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use toml::de::DeTable;
use walker::{Context, Schema, Table};

/// Largest configuration file, in bytes.
pub const MAX_CONFIG: u64 = 4 * 1024 * 1024;

/// Larger texts get their first syntax error reported only, as each one costs memory.
const ALL_SYNTAX_ERRORS: usize = 256 * 1024;

/// A configuration that can be used.
#[derive(Debug)]
pub struct Loaded {
    /// What the engine runs.
    pub compiled: Compiled,
    /// `[plugins.ID]` by id.
    pub plugins: BTreeMap<PluginId, PluginSettings>,
    /// `[plugins] dir`, relative to the file's folder.
    pub plugins_dir: Option<PathBuf>,
    /// `[logging]`; its file is as written.
    pub logging: Logging,
    /// What it asks of plugins: to be compared by whoever knows them.
    pub calls: PluginCalls,
    /// Warnings and notes, no errors.
    pub warnings: Diagnostics,
}

/// Reads a configuration file.
///
/// # Errors
/// Everything that is wrong with it, at least one error among it.
pub fn load_file(path: &Path) -> Result<Loaded, Diagnostics> {
    let name = path.display().to_string();
    let bytes = read_bounded(path).map_err(|diagnostic| Diagnostics::about_file(name.clone(), *diagnostic))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].iter().filter(|&&byte| byte == b'\n').count() + 1;
        let message =
            format!("not UTF-8: the byte {:#04x} in line {line} belongs to no character", error.as_bytes()[at]);
        Diagnostics::about_file(name.clone(), Diagnostic::error(Code::NotUtf8, 0..0, message))
    })?;
    let mut loaded = load_text(&name, &text, &is_program)?;
    if let (Some(dir), Some(folder)) = (&mut loaded.plugins_dir, path.parent()) {
        *dir = folder.join(&dir);
    }
    Ok(loaded)
}

/// Reads a configuration from its text. `file` is its name in diagnostics;
/// `program_exists` says whether a program can be run, and a warning is given where not.
///
/// # Errors
/// Everything that is wrong with it, at least one error among it.
pub fn load_text(file: &str, text: &str, program_exists: &dyn Fn(&str) -> bool) -> Result<Loaded, Diagnostics> {
    let sink = Sink::default();
    let loaded = walk(text, &sink, program_exists);
    let failed = sink.failed();
    let diagnostics = Diagnostics::new(file.to_owned(), text.into(), sink);
    match loaded {
        Some((read, compiled)) if !failed => Ok(Loaded {
            compiled,
            plugins: read.plugins,
            plugins_dir: read.plugins_dir.map(PathBuf::from),
            logging: read.logging,
            calls: PluginCalls::of(read.document),
            warnings: diagnostics,
        }),
        _ => Err(diagnostics),
    }
}

fn walk(text: &str, sink: &Sink, program_exists: &dyn Fn(&str) -> bool) -> Option<(document::Read, Compiled)> {
    if text.len() as u64 > MAX_CONFIG {
        sink.push(too_large());
        return None;
    }
    let (document, errors) = if text.len() <= ALL_SYNTAX_ERRORS {
        DeTable::parse_recoverable(text)
    } else {
        match DeTable::parse(text) {
            Ok(document) => (document, Vec::new()),
            Err(error) => (toml::Spanned::new(0..0, DeTable::new()), vec![error]),
        }
    };
    let errors = syntax_errors(text, &errors);
    for error in &errors {
        sink.push(error.clone());
    }
    let context = Context { sink, schema: Schema::Compatible, program_exists };
    let schema = document::schema(&Table::new(context, &document).take("schema"))?;
    let context = Context { schema, ..context };
    if !errors.is_empty() {
        // what the parser could make out is read too, to find other mistakes in the same pass
        let beyond = Sink::default();
        document::read(Table::new(Context { sink: &beyond, ..context }, &document));
        beyond.into_iter().filter(|other| is_its_own(text, &errors, other)).for_each(|other| sink.push(other));
        return None;
    }
    let read = document::read(Table::new(context, &document));
    checks::check(&read.document, sink);
    if sink.failed() {
        return None;
    }
    let compiled = compile::compile(&read.document, sink);
    Some((read, compiled))
}

/// The first syntax error of each line; the others follow from it.
fn syntax_errors(text: &str, errors: &[toml::de::Error]) -> Vec<Diagnostic> {
    let mut kept: Vec<Diagnostic> = Vec::new();
    for error in errors {
        let span = error.span().unwrap_or(text.len()..text.len());
        if kept.last().is_none_or(|last| !same_line(text, last.span.start, span.start)) {
            kept.push(Diagnostic::error(Code::Syntax, span, error.message()));
        }
    }
    kept
}

/// Whether a mistake cannot come from what the parser had to leave out.
fn is_its_own(text: &str, errors: &[Diagnostic], other: &Diagnostic) -> bool {
    other.severity == Severity::Error
        && other.code != Code::MissingKey
        && !errors.iter().any(|error| same_line(text, error.span.start, other.span.start))
}

fn same_line(text: &str, a: usize, b: usize) -> bool {
    let between = a.min(b)..a.max(b);
    !text.as_bytes()[between].contains(&b'\n')
}

fn too_large() -> Diagnostic {
    Diagnostic::error(Code::TooLarge, 0..0, format!("a configuration can have {MAX_CONFIG} bytes at most"))
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, Box<Diagnostic>> {
    let unreadable = |error: io::Error| {
        let help = match error.kind() {
            io::ErrorKind::NotFound => "create it, or name another one with --config",
            io::ErrorKind::PermissionDenied => "check who may read it",
            _ => "check that it is a regular file",
        };
        Box::new(Diagnostic::error(Code::Unreadable, 0..0, format!("cannot be read: {error}")).help(help))
    };
    // a pipe without a writer must not hang us
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Box::new(Diagnostic::error(Code::Unreadable, 0..0, "is not a regular file")));
    }
    let mut bytes = Vec::with_capacity(metadata.len().min(MAX_CONFIG) as usize + 1); // cannot cut: 4 MiB
    file.take(MAX_CONFIG + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_CONFIG { Err(Box::new(too_large())) } else { Ok(bytes) }
}

/// Whether a program would be found: by its path, or by its name in PATH.
fn is_program(name: &str) -> bool {
    let executable = |path: &Path| {
        path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    if name.contains('/') {
        return executable(Path::new(name));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| executable(&folder.join(name)))
}
