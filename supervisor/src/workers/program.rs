//! The worker programs, and which of them runs a plugin.

use crate::plugins::SealedCode;
use midimon_shared::protocol::CodeKind;
use std::io;

/// What the interfaces of the network begin with, wherever a component imports one.
const NETWORK: [&str; 2] = ["wasi:http/", "midimon:plugin/net@"];

/// The program of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerProgram {
    /// For native code.
    Native,
    /// For WASM that has no use for the network.
    Wasm,
    /// For WASM that has: the only one with TLS and HTTP in it.
    WasmNet,
}

impl WorkerProgram {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Native, Self::Wasm, Self::WasmNet];

    /// What runs code of this kind. `code` is as in the package, not compiled.
    ///
    /// A component's binary has the names of its imports as they are, so that one with none of the network's in it
    /// imports none. One that has such a name for another reason gets the larger program, and nothing more by it: what
    /// it may do is in its grants.
    ///
    /// # Errors
    /// The code cannot be read.
    pub fn new(kind: CodeKind, code: &SealedCode) -> io::Result<Self> {
        Ok(match kind {
            CodeKind::Native => Self::Native,
            CodeKind::WasmComponent if code.contains_any(&NETWORK)? => Self::WasmNet,
            CodeKind::WasmCore | CodeKind::WasmComponent => Self::Wasm,
        })
    }

    /// The name of its file.
    #[must_use]
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Native => "midimon-worker",
            Self::Wasm => "midimon-worker-wasm",
            Self::WasmNet => "midimon-worker-wasm-net",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_and_http_come_with_components_that_import_the_network_alone() {
        let program = |kind, text: &str| {
            let code = SealedCode::copy(&mut text.as_bytes(), 1000).unwrap();
            WorkerProgram::new(kind, &code).unwrap()
        };
        assert_eq!(program(CodeKind::WasmComponent, "\0wasi:http/types@0.2.3\x01"), WorkerProgram::WasmNet);
        assert_eq!(program(CodeKind::WasmComponent, "\0midimon:plugin/net@1.0.0"), WorkerProgram::WasmNet);
        assert_eq!(program(CodeKind::WasmComponent, "midimon:plugin/names@1.0.0"), WorkerProgram::Wasm);
        assert_eq!(program(CodeKind::WasmComponent, ""), WorkerProgram::Wasm);
        // neither can import them
        assert_eq!(program(CodeKind::WasmCore, "wasi:http/types@0.2.3"), WorkerProgram::Wasm);
        assert_eq!(program(CodeKind::Native, "wasi:http/types@0.2.3"), WorkerProgram::Native);
    }
}
