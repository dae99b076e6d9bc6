//! What `midimon plugin new` writes: the files of `plugins/templates`, compiled in, with
//! `{{words}}` in them filled in. A language that is added is a row of [`TEMPLATES`].

#[cfg(test)]
mod tests;

use crate::workers::status::PluginKind;
use midimon_shared::PluginId;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What a plugin can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Language {
    Rust,
    C,
    JavaScript,
    Python,
}

impl Language {
    /// Every one there is a template for, as `--lang` takes it.
    pub const ALL: [(&'static str, Self); 4] =
        [("rust", Self::Rust), ("c", Self::C), ("js", Self::JavaScript), ("python", Self::Python)];
}

impl fmt::Display for Language {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Rust => "Rust",
            Self::C => "C",
            Self::JavaScript => "JavaScript",
            Self::Python => "Python",
        })
    }
}

/// The files of a new plugin in a language, for one kind of code.
#[derive(Debug)]
pub struct Template {
    /// What it is written in.
    pub language: Language,
    /// What it is built to.
    pub kind: PluginKind,
    /// The file to look into first.
    source: &'static str,
    /// Each file's path in the new directory, and its text.
    files: &'static [(&'static str, &'static str)],
}

/// A file of `plugins/templates`.
macro_rules! template {
    ($name:literal) => {
        include_str!(concat!("../../../../plugins/templates/", $name))
    };
}

const MANIFEST: (&str, &str) = ("plugin.toml", template!("plugin.toml.in"));
const README: (&str, &str) = ("README.md", template!("README.md"));

const RUST: &[(&str, &str)] = &[
    MANIFEST,
    README,
    ("Cargo.toml", template!("rust/Cargo.toml.in")),
    ("Makefile", template!("rust/Makefile")),
    ("src/lib.rs", template!("rust/lib.rs")),
    (".gitignore", template!("rust/gitignore")),
];

const C: &[(&str, &str)] = &[
    MANIFEST,
    README,
    ("Makefile", template!("c/Makefile")),
    ("plugin.c", template!("c/plugin.c")),
    ("include/midimon_plugin.h", include_str!("../../../../plugins/sdk/include/midimon_plugin.h")),
    (".gitignore", template!("c/gitignore")),
];

/// What components are made against.
macro_rules! wit {
    ($name:literal) => {
        (concat!("wit/", $name), include_str!(concat!("../../../../plugins/wit/", $name)))
    };
}

const C_WASM: &[(&str, &str)] = &[
    MANIFEST,
    README,
    ("Makefile", template!("c-wasm/Makefile")),
    ("plugin.c", template!("c-wasm/plugin.c")),
    ("params.c", template!("c-wasm/params.c")),
    ("params.h", template!("c-wasm/params.h")),
    ("bindings/midimon_component.c", template!("c-wasm/bindings/midimon_component.c")),
    ("bindings/midimon_component.h", template!("c-wasm/bindings/midimon_component.h")),
    (".gitignore", template!("c-wasm/gitignore")),
    wit!("host.wit"),
    wit!("plugin.wit"),
    wit!("types.wit"),
];

const JAVASCRIPT: &[(&str, &str)] = &[
    MANIFEST,
    README,
    ("Makefile", template!("js/Makefile")),
    ("package.json", template!("js/package.json.in")),
    ("package-lock.json", template!("js/package-lock.json")),
    ("plugin.js", template!("js/plugin.js")),
    (".gitignore", template!("js/gitignore")),
    wit!("host.wit"),
    wit!("plugin.wit"),
    wit!("types.wit"),
];

const PYTHON: &[(&str, &str)] = &[
    MANIFEST,
    README,
    ("Makefile", template!("python/Makefile")),
    ("requirements.txt", template!("python/requirements.txt")),
    ("app.py", template!("python/app.py")),
    (".gitignore", template!("python/gitignore")),
    wit!("host.wit"),
    wit!("plugin.wit"),
    wit!("types.wit"),
];

/// All there are; the first of a language is what it is made as when nobody says.
pub static TEMPLATES: &[Template] = &[
    Template { language: Language::Rust, kind: PluginKind::Wasm, source: "src/lib.rs", files: RUST },
    Template { language: Language::Rust, kind: PluginKind::Native, source: "src/lib.rs", files: RUST },
    Template { language: Language::C, kind: PluginKind::Native, source: "plugin.c", files: C },
    Template { language: Language::C, kind: PluginKind::Wasm, source: "plugin.c", files: C_WASM },
    Template { language: Language::JavaScript, kind: PluginKind::Wasm, source: "plugin.js", files: JAVASCRIPT },
    Template { language: Language::Python, kind: PluginKind::Wasm, source: "app.py", files: PYTHON },
];

/// Where a new plugin in Rust has the SDK from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sdk {
    /// The repository midimon itself comes from.
    Git,
    /// A directory on this machine.
    Path(PathBuf),
}

/// Why no plugin was made.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum NewError {
    #[error("there is no template in {language} for a {kind} plugin; there is one for a {known} plugin")]
    NoTemplate { language: Language, kind: &'static str, known: &'static str },
    #[error("'{}' is there already; choose another name", .0.display())]
    Exists(PathBuf),
    #[error("'{}' is not the SDK: it has no Cargo.toml of `midimon-plugin`; give the directory plugins/sdk", .0.display())]
    NoSdk(PathBuf),
    #[error("'{}' cannot be written in a Cargo.toml; move the SDK", .0.display())]
    SdkName(PathBuf),
    #[error("cannot write '{}': {source}", .path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// The template of a language; of the kind that is asked for, or the usual one.
///
/// # Errors
/// There is none.
pub fn find(language: Language, kind: Option<PluginKind>) -> Result<&'static Template, NewError> {
    let mut of_language = TEMPLATES.iter().filter(|template| template.language == language);
    of_language.clone().find(|template| kind.is_none_or(|kind| kind == template.kind)).ok_or_else(|| {
        let known = of_language.next().map_or("none", |template| word(template.kind));
        NewError::NoTemplate { language, kind: kind.map_or("", word), known }
    })
}

/// As the manifest names it.
#[must_use]
pub const fn word(kind: PluginKind) -> &'static str {
    match kind {
        PluginKind::Native => "native",
        PluginKind::Wasm => "wasm",
    }
}

impl Template {
    /// The files of a plugin with this id: each one's path and text.
    ///
    /// # Errors
    /// The SDK is not where it is said to be.
    pub fn render(&self, id: &PluginId, sdk: &Sdk) -> Result<Vec<(&'static str, String)>, NewError> {
        let library = id.uniqueness_key();
        let native = self.kind == PluginKind::Native;
        let entry = if native { format!("lib{library}.so") } else { format!("{library}.wasm") };
        let built = match native {
            true => format!("release/libplugin_{library}.so"),
            false => format!("wasm32-wasip2/release/plugin_{library}.wasm"),
        };
        let words = [
            ("id", id.to_string()),
            ("name", title(id)),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("kind", word(self.kind).to_owned()),
            ("language", self.language.to_string()),
            ("source", self.source.to_owned()),
            ("entry", entry),
            ("built", built),
            ("target", if native { "" } else { " --target wasm32-wasip2" }.to_owned()),
            // a component's panic ends the instance either way; a native one's is caught
            ("abort", if native { "" } else { "\npanic = \"abort\"" }.to_owned()),
            ("sdk", dependency(self.language, sdk)?),
        ];
        let fill = |text: &str| {
            words.iter().fold(text.to_owned(), |text, (word, value)| text.replace(&format!("{{{{{word}}}}}"), value))
        };
        Ok(self.files.iter().map(|(path, text)| (*path, fill(text))).collect())
    }

    /// Writes a new plugin into a directory that is not there yet; the files' paths in it.
    ///
    /// # Errors
    /// The directory is there, or something cannot be written: then nothing is left of it.
    pub fn write(&self, id: &PluginId, dir: &Path, sdk: &Sdk) -> Result<Vec<&'static str>, NewError> {
        let files = self.render(id, sdk)?;
        let failed = |path: &Path, source| NewError::Write { path: path.to_owned(), source };
        fs::create_dir(dir).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => NewError::Exists(dir.to_owned()),
            _ => failed(dir, error),
        })?;
        let write = |path: &Path, text: &str| {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
        };
        for (name, text) in &files {
            let path = dir.join(name);
            if let Err(error) = write(&path, text) {
                let _ = fs::remove_dir_all(dir); // ours since a moment ago; the first error says more
                return Err(failed(&path, error));
            }
        }
        Ok(files.into_iter().map(|(name, _)| name).collect())
    }
}

/// The id as people write names: `my-plugin` is "My plugin".
fn title(id: &PluginId) -> String {
    let words = id.as_str().replace(['-', '_'], " ");
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + letters.as_str())
}

/// The SDK as a dependency in Cargo.toml.
fn dependency(language: Language, sdk: &Sdk) -> Result<String, NewError> {
    match (language, sdk) {
        (Language::C | Language::JavaScript | Language::Python, _) => Ok(String::new()),
        (Language::Rust, Sdk::Git) => Ok(format!("git = \"{}\"", env!("CARGO_PKG_REPOSITORY"))),
        (Language::Rust, Sdk::Path(path)) => {
            let full = path.canonicalize().map_err(|_| NewError::NoSdk(path.clone()))?;
            let manifest = fs::read_to_string(full.join("Cargo.toml")).unwrap_or_default();
            if !manifest.contains("name = \"midimon-plugin\"") {
                return Err(NewError::NoSdk(full));
            }
            match full.to_str() {
                Some(text) if !text.contains(['\'', '\n', '\r']) => Ok(format!("path = '{text}'")),
                _ => Err(NewError::SdkName(full)),
            }
        }
    }
}
