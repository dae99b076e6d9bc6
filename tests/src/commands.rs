//! Commands that have to work, or to be refused.

use crate::{Bed, Publisher};
use serde_json::Value;
use std::path::Path;

impl Bed {
    /// Runs a command that has to work; what it printed.
    ///
    /// # Panics
    /// It does not work.
    pub fn works(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).expect("a command prints UTF-8")
    }

    /// As [`Self::works`], for what prints one JSON value.
    ///
    /// # Panics
    /// It does not work, or prints something else.
    #[must_use]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let text = self.works(arguments);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
    }

    /// Runs a command that has to be refused; why it was.
    ///
    /// # Panics
    /// It works, or ends in another way.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// The settings that the fixture `given`, under this id, was started with.
    ///
    /// # Panics
    /// It does not answer, or with something else.
    #[must_use]
    pub fn given(&self, id: &str) -> Value {
        let answer = self.works(&["plugin", "call", id, "given"]);
        let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        let bytes: Option<Vec<u8>> = answer.trim().as_bytes().chunks(2).map(byte).collect();
        let settings = bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        settings.unwrap_or_else(|| panic!("no settings as hexadecimal digits: {answer}"))
    }

    /// What `midimon audit` has of a plugin, the newest last.
    ///
    /// # Panics
    /// There is nothing of it.
    #[must_use]
    pub fn audit(&self, plugin: &str) -> Vec<Value> {
        let text = self.works(&["audit", plugin, "--json", "-n", "10000"]);
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }
}

impl Publisher {
    /// Installs a package of this publisher's without being asked, known under [`Self::name`].
    ///
    /// # Panics
    /// It is refused.
    pub fn install(&self, bed: &Bed, package: &Path, flags: &[&str]) -> String {
        let package = package.to_str().expect("a path in UTF-8");
        let terms = self.terms();
        let terms: Vec<&str> = terms.iter().map(String::as_str).collect();
        bed.works(&[&["plugin", "install", package], &terms[..], flags].concat())
    }

    /// What the key is pinned as.
    #[must_use]
    pub fn name(&self) -> String {
        format!("Publisher {}", self.key().key_id_hex())
    }
}
