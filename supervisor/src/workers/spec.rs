//! What a worker is to run, ready to be started at any moment.

use super::program::WorkerProgram;
use super::status::{Origin, PluginKind};
use crate::plugins::settings::Handed;
use crate::plugins::{Grants, SealedCode};
use midimon_shared::capability::Capability;
use midimon_shared::protocol::{CodeKind, Load};
use midimon_shared::spawn::{MissingLayers, Violations};
use midimon_shared::{Limits, PluginId};
use std::path::PathBuf;
use std::sync::Arc;

/// One plugin, verified and loaded into memory.
#[derive(Clone, Debug)]
pub struct PluginSpec {
    /// Its id.
    pub id: PluginId,
    /// Its name for people.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What its code is.
    pub kind: CodeKind,
    /// What runs it.
    pub program: WorkerProgram,
    /// Where it comes from, as shown in listings.
    pub origin: Origin,
    /// The file its code was read from, for messages.
    pub code_path: PathBuf,
    /// A sealed memfd with its code (for WASM: compiled); restarts use it again.
    pub code: Arc<SealedCode>,
    /// Its data directory, when it may have one.
    pub data_dir: Option<PathBuf>,
    /// Its settings.
    pub settings: Handed,
    /// What it may do: asked for and granted.
    pub grants: Grants,
    /// What it asks for and is not granted.
    pub not_granted: Vec<Capability>,
    /// The limits in force.
    pub limits: Limits,
    /// What a forbidden system call does to it.
    pub violations: Violations,
    /// Whether it may run where this system lacks a layer of the sandbox.
    pub missing_layers: MissingLayers,
}

impl PluginSpec {
    /// Its kind as in a manifest.
    #[must_use]
    pub const fn plugin_kind(&self) -> PluginKind {
        match self.kind {
            CodeKind::Native => PluginKind::Native,
            CodeKind::WasmCore | CodeKind::WasmComponent => PluginKind::Wasm,
        }
    }

    /// The message that makes a worker load it.
    #[must_use]
    pub fn load(&self) -> Load {
        Load {
            plugin: self.id.clone(),
            kind: self.kind,
            data_dir: self.data_dir.as_ref().map(|path| path.to_string_lossy().into_owned()),
            settings: self.settings.json().to_owned(),
            limits: (&self.limits).into(),
        }
    }
}
