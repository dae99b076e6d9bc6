//! From compiled code to a plugin whose first `init`, or `start`, has run.

use super::component::{self, LinkNetwork};
use super::deadline::Ticker;
use super::engine::config;
use super::factory::Factory;
use super::plugin::WasmPlugin;
use super::wasi;
use crate::host::HostClient;
use crate::log::bounded;
use midimon_shared::abi::{MAX_DESCRIPTION, MAX_NAME, MAX_VERSION};
use midimon_shared::protocol::{CodeKind, Load, Ready};
use serde::Deserialize;
use std::fs::File;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use wasmtime::{Engine, ExternType, Module, ValType};

/// Largest metadata text, in bytes.
const MAX_METADATA: usize = 64 * 1024;

/// Why a module is not a plugin that can run here.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum LoadError {
    #[error("the WASM runtime cannot be set up: {0}")]
    Setup(String),
    #[error("its compiled code does not fit this program and must be compiled again: {0}")]
    Artifact(String),
    #[error("it wants what midimon does not offer: {0} (a plugin can import `wasi_snapshot_preview1` alone)")]
    Import(String),
    #[error("it does not export `{name}`, {needed}")]
    NoExport { name: &'static str, needed: &'static str },
    #[error("its export `{name}` is not {needed}")]
    WrongExport { name: &'static str, needed: &'static str },
    #[error("its start was stopped: {0}")]
    Halted(String),
    #[error("its init returned metadata outside its memory or too long: {0}")]
    Range(String),
    #[error("its metadata is not the JSON object init must return: {0}")]
    Metadata(String),
    #[error("it wants what midimon does not offer: {0} (a component can import `midimon:plugin@1.0.0` and WASI 0.2)")]
    World(String),
    #[error("it is a component, but not of the world `midimon:plugin/midimon-plugin@1.0.0`: {0}")]
    Interface(String),
    #[error("its start failed with code {code}{}{message}", if .message.is_empty() { "" } else { ": " })]
    Failed { code: i32, message: String },
    #[error("it is native code, which this program does not run")]
    Kind,
}

/// Engine and host functions, which need no plugin: made while the supervisor looks at the worker.
pub struct Host {
    engine: Engine,
    runtime: &'static Runtime,
}

impl Host {
    /// Sets up the runtime.
    ///
    /// # Errors
    /// [`LoadError::Setup`].
    pub fn new() -> Result<Self, LoadError> {
        let setup = |error: wasmtime::Error| LoadError::Setup(error.root_cause().to_string());
        let runtime = wasi::enter_runtime().map_err(|error| LoadError::Setup(error.to_string()))?;
        Ok(Self { engine: Engine::new(&config()).map_err(setup)?, runtime })
    }
}

/// Code that nothing has run of.
pub enum Opened {
    /// A core module.
    Core(OpenedModule),
    /// A component.
    Component(component::Opened),
}

/// A core module that nothing has run of.
pub struct OpenedModule {
    factory: Factory,
}

/// Loads the code and checks what it exports and imports. A component asks midimon by `client`, and can import what
/// `network` defines, if anything.
///
/// # Errors
/// See [`LoadError`]: each says what is wrong with the code.
pub fn open(
    host: Host,
    load: Load,
    artifact: File,
    client: HostClient,
    network: Option<LinkNetwork>,
) -> Result<Opened, LoadError> {
    match load.kind {
        CodeKind::WasmCore => open_module(host, load, artifact).map(Opened::Core),
        CodeKind::WasmComponent => {
            let Host { engine, runtime } = host;
            component::open((engine, runtime), load, &artifact, client, network).map(Opened::Component)
        }
        CodeKind::Native => Err(LoadError::Kind),
    }
}

/// The same for a core module, which asks for nothing.
///
/// # Errors
/// See [`LoadError`].
pub fn open_module(host: Host, load: Load, artifact: File) -> Result<OpenedModule, LoadError> {
    let Host { engine, .. } = host;
    let linker = wasi::linker(&engine).map_err(|error| LoadError::Setup(error.root_cause().to_string()))?;
    let module = deserialize(&engine, artifact)?;
    check_exports(&module)?;
    let module = linker.instantiate_pre(&module).map_err(|error| LoadError::Import(error.root_cause().to_string()))?;
    let ticker = Ticker::start(engine.clone()).map_err(|error| LoadError::Setup(error.to_string()))?;
    let Load { limits, data_dir, .. } = load;
    Ok(OpenedModule { factory: Factory { engine, ticker, limits, data_dir, module } })
}

impl OpenedModule {
    /// Makes an instance and runs its `init`.
    ///
    /// # Errors
    /// It met a limit, or returned no metadata.
    pub fn start(self) -> Result<(WasmPlugin, Ready), LoadError> {
        let Self { factory } = self;
        let running = factory.ticker.run();
        let deadline = Instant::now() + Duration::from_millis(factory.limits.timeout_ms.into());
        let made = factory.make(deadline, |packed, memory| packed.read(memory, MAX_METADATA));
        drop(running);
        let (instance, metadata) = made.map_err(|halt| LoadError::Halted(halt.to_string()))?;
        let ready = describe(&metadata.map_err(LoadError::Range)?)?;
        Ok((WasmPlugin::new(factory, instance), ready))
    }
}

#[allow(unsafe_code)]
fn deserialize(engine: &Engine, artifact: File) -> Result<Module, LoadError> {
    // SAFETY: the bytes are sealed and came from the supervisor, which made them with `midimon-compile` or read them
    // from a cache that is its own and authenticated. The file stays open and cannot change.
    let module = unsafe { Module::deserialize_open_file(engine, artifact) };
    module.map_err(|error| LoadError::Artifact(error.root_cause().to_string()))
}

fn check_exports(module: &Module) -> Result<(), LoadError> {
    use ValType::{I32, I64};
    memory(module)?;
    function(module, "init", "a function () -> i64", &[], &[I64])?;
    function(module, "alloc", "a function (i32) -> i32", &[I32], &[I32])?;
    function(module, "execute", "a function (i32, i32) -> i32", &[I32, I32], &[I32])?;
    match module.get_export("_initialize") {
        None => Ok(()),
        Some(_) => function(module, "_initialize", "a function without parameters or results", &[], &[]),
    }
}

fn memory(module: &Module) -> Result<(), LoadError> {
    let (name, needed) = ("memory", "a 32-bit memory");
    match module.get_export(name) {
        None => Err(LoadError::NoExport { name, needed }),
        Some(ExternType::Memory(memory)) if !memory.is_64() && !memory.is_shared() => Ok(()),
        Some(_) => Err(LoadError::WrongExport { name, needed }),
    }
}

fn function(
    module: &Module,
    name: &'static str,
    needed: &'static str,
    params: &[ValType],
    results: &[ValType],
) -> Result<(), LoadError> {
    let same = |found: &mut dyn Iterator<Item = ValType>, wanted: &[ValType]| {
        let found: Vec<_> = found.collect();
        found.len() == wanted.len() && found.iter().zip(wanted).all(|(found, wanted)| ValType::eq(found, wanted))
    };
    match module.get_export(name) {
        None => Err(LoadError::NoExport { name, needed }),
        Some(ExternType::Func(function))
            if same(&mut function.params(), params) && same(&mut function.results(), results) =>
        {
            Ok(())
        }
        Some(_) => Err(LoadError::WrongExport { name, needed }),
    }
}

/// What of the metadata is used; other keys (author, licence, capabilities …) are the manifest's to say.
#[derive(Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    description: String,
}

fn describe(text: &[u8]) -> Result<Ready, LoadError> {
    let metadata: Metadata = serde_json::from_slice(text).map_err(|error| LoadError::Metadata(error.to_string()))?;
    Ok(Ready {
        name: bounded(&metadata.name, MAX_NAME).to_owned(),
        version: bounded(&metadata.version, MAX_VERSION).to_owned(),
        description: bounded(&metadata.description, MAX_DESCRIPTION).to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn metadata_of_old_plugins_is_understood_and_the_rest_of_it_ignored() {
        let text = r#"{"name":"spotify","version":"0.1.0","description":"d","author":"a","license":"MIT",
            "type":"action","capabilities":["network"],"actions":[{"name":"play"}]}"#;
        let expected = Ready { name: "spotify".into(), version: "0.1.0".into(), description: "d".into() };
        assert_eq!(describe(text.as_bytes()).unwrap(), expected);
        assert_eq!(describe(b"{\"name\":\"x\"}").unwrap().version, "");
    }

    #[test]
    fn metadata_that_is_not_json_is_named() {
        for bad in ["", "name=x", "{\"name\":1}", "{}", "[]", "{\"name\":\"x\"} more"] {
            assert!(matches!(describe(bad.as_bytes()), Err(LoadError::Metadata(_))), "{bad}");
        }
        assert!(describe(&[b'[', 0xFF]).is_err());
        assert!(describe("[".repeat(50_000).as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn no_metadata_is_a_panic_and_what_is_used_of_it_is_bounded(
            bytes in prop::collection::vec(any::<u8>(), 0..60), name in any::<String>(), times in 0_usize..200,
        ) {
            let _ = describe(&bytes);
            let long = name.repeat(times);
            let text = serde_json::json!({ "name": long, "version": long, "description": long, "more": bytes });
            let ready = describe(text.to_string().as_bytes()).unwrap();
            let parts = [(&ready.name, MAX_NAME), (&ready.version, MAX_VERSION), (&ready.description, MAX_DESCRIPTION)];
            for (part, most) in parts {
                prop_assert!(part.len() <= most && long.starts_with(part.as_str()));
            }
        }
    }
}
