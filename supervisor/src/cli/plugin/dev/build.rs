//! How a plugin's directory is built: by its Makefile, or by cargo.

use super::watch::Snapshot;
use crate::cli::CliError;
use crate::plugins::manifest::Manifest;
use crate::workers::status::PluginKind;
use serde::Deserialize;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What there is to build with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Builder {
    Make,
    Cargo,
    /// The code is there already; something else builds it.
    Nothing,
}

/// A plugin's directory.
#[derive(Debug)]
pub struct Project {
    dir: PathBuf,
    builder: Builder,
    kind: PluginKind,
}

/// A line of cargo's, of which this is of interest.
#[derive(Deserialize)]
struct Message {
    reason: String,
    manifest_path: Option<PathBuf>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

impl Project {
    pub fn open(dir: &Path) -> Result<Self, CliError> {
        let failed = |error: &dyn std::fmt::Display| CliError::Failed(format!("'{}': {error}", dir.display()));
        let dir = dir.canonicalize().map_err(|error| failed(&error))?;
        let manifest = Manifest::read(&dir).map_err(|error| CliError::Failed(error.to_string()))?;
        let has = |name: &str| dir.join(name).is_file();
        let builder = match () {
            () if has("Makefile") || has("makefile") || has("GNUmakefile") => Builder::Make,
            () if has("Cargo.toml") => Builder::Cargo,
            () if has(&manifest.entry) => Builder::Nothing,
            () => {
                return Err(failed(&format_args!(
                    "nothing to build: no Makefile, no Cargo.toml, no {}",
                    manifest.entry
                )));
            }
        };
        Ok(Self { dir, builder, kind: manifest.kind })
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The files that count.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot::of(&self.dir)
    }

    /// What builds it, as one would type it.
    pub fn builder(&self) -> String {
        match self.builder {
            Builder::Nothing => "nothing to do".to_owned(),
            Builder::Make => "make".to_owned(),
            Builder::Cargo => format!("cargo {}", self.cargo().join(" ")),
        }
    }

    fn cargo(&self) -> Vec<&'static str> {
        let target: &[&str] = match self.kind {
            PluginKind::Native => &[],
            PluginKind::Wasm => &["--target", "wasm32-wasip2"],
        };
        [&["build", "--release"], target].concat()
    }

    /// Builds it, with what the tools say on the screen. The code, where it is not beside
    /// the manifest.
    pub fn build(&self) -> Result<Option<PathBuf>, CliError> {
        match self.builder {
            Builder::Nothing => Ok(None),
            Builder::Make => {
                let mut make = Command::new("make");
                make.current_dir(&self.dir).stdin(Stdio::null());
                // what a make around this one told its children is not for this one
                for variable in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS"] {
                    make.env_remove(variable);
                }
                let status = make.status().map_err(|error| missing("make", &error))?;
                if status.success() { Ok(None) } else { Err(CliError::Failed(format!("make failed ({status})"))) }
            }
            Builder::Cargo => self.run_cargo(),
        }
    }

    fn run_cargo(&self) -> Result<Option<PathBuf>, CliError> {
        let mut cargo = Command::new("cargo");
        cargo.args(self.cargo()).arg("--message-format=json-render-diagnostics");
        let mut child = cargo
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| missing("cargo", &error))?;
        let ending = if self.kind == PluginKind::Native { "so" } else { "wasm" };
        let mut code = None;
        if let Some(stdout) = child.stdout.take() {
            for line in BufReader::new(stdout).lines() {
                let line = line.map_err(|error| missing("cargo", &error))?;
                let Ok(message) = serde_json::from_str::<Message>(&line) else { continue };
                let ours = message.manifest_path.as_deref().and_then(Path::parent) == Some(&self.dir);
                if message.reason == "compiler-artifact" && ours {
                    let built =
                        message.filenames.into_iter().find(|file| file.extension().is_some_and(|it| it == ending));
                    code = built.or(code);
                }
            }
        }
        let status = child.wait().map_err(|error| missing("cargo", &error))?;
        if !status.success() {
            return Err(CliError::Failed(format!("cargo failed ({status})")));
        }
        code.map(Some).ok_or_else(|| {
            let what = "crate-type = [\"cdylib\"]";
            CliError::Failed(format!("cargo built no .{ending}: Cargo.toml needs [lib] {what}"))
        })
    }
}

fn missing(program: &str, error: &std::io::Error) -> CliError {
    CliError::Failed(format!("{program} does not run: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_is_there_tells_what_builds_it() {
        let dir = tempfile::tempdir().unwrap();
        let manifest =
            "schema = 1\nid = \"hello\"\nname = \"H\"\nversion = \"1.0.0\"\nkind = \"wasm\"\nentry = \"h.wasm\"\n";
        fs::write(dir.path().join("plugin.toml"), manifest).unwrap();
        let open = || Project::open(dir.path()).map(|project| project.builder()).map_err(|error| error.to_string());
        assert!(open().unwrap_err().contains("no Makefile, no Cargo.toml, no h.wasm"));
        for (file, builder) in [
            ("h.wasm", "nothing to do"),
            ("Cargo.toml", "cargo build --release --target wasm32-wasip2"),
            ("Makefile", "make"),
        ] {
            fs::write(dir.path().join(file), "").unwrap();
            assert_eq!(open().as_deref(), Ok(builder));
        }
    }

    #[test]
    fn a_build_that_fails_is_an_error_and_one_that_works_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let project = Project { dir: dir.path().to_owned(), builder: Builder::Make, kind: PluginKind::Native };
        fs::write(dir.path().join("Makefile"), "all:\n\t@touch made\n").unwrap();
        assert!(matches!(project.build(), Ok(None)));
        assert!(dir.path().join("made").exists());
        fs::write(dir.path().join("Makefile"), "all:\n\t@false\n").unwrap();
        assert!(project.build().unwrap_err().to_string().starts_with("make failed"));
    }
}
