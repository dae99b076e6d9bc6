//! WASM guests as text, and their compiled code.

use super::{WASM, Worker, compile, limits, load};
use midimon_shared::limits::WorkerLimits;
use midimon_shared::protocol::{CodeKind, Load};
use midimon_shared::{Event, WorkerExit};
use std::os::fd::OwnedFd;

/// What every guest needs, of which each test replaces what it is about.
pub struct Guest {
    pub imports: &'static str,
    pub memories: String,
    pub functions: &'static str,
    pub metadata: &'static str,
    pub init: &'static str,
    pub alloc: &'static str,
    pub execute: &'static str,
}

impl Default for Guest {
    fn default() -> Self {
        Self {
            imports: "",
            memories: "(memory (export \"memory\") 2)".into(),
            functions: "",
            metadata: "{\"name\":\"guest\",\"version\":\"1.0.0\",\"description\":\"d\",\"type\":\"action\"}",
            init: "",
            alloc: "i32.const 4096",
            execute: "i32.const 0",
        }
    }
}

impl Guest {
    /// The module's text. Metadata lie at address 16.
    pub fn text(&self) -> String {
        let Self { imports, memories, functions, metadata, init, alloc, execute } = self;
        let packed = (16u64 << 32) | metadata.len() as u64;
        let data = metadata.replace('"', "\\\"");
        format!(
            r#"(module {imports} {memories} (data (i32.const 16) "{data}") {functions}
            (func (export "init") (result i64) {init} i64.const {packed})
            (func (export "alloc") (param $size i32) (result i32) {alloc})
            (func (export "execute") (param $ptr i32) (param $len i32) (result i32) {execute}))"#
        )
    }

    pub fn compiled(&self) -> OwnedFd {
        compile_text(&self.text())
    }

    /// A worker that runs it, with its action bound as 0 with a deadline in milliseconds.
    pub fn ready(&self, limits: WorkerLimits, timeout_ms: u32) -> Worker {
        let worker = Worker::ready(WASM, load(CodeKind::WasmCore, limits), &self.compiled());
        worker.bind(0, "act", "{}", timeout_ms);
        worker
    }

    /// The message of a load that must fail.
    pub fn load_error(&self, limits: WorkerLimits) -> String {
        load_error(load(CodeKind::WasmCore, limits), &self.compiled())
    }
}

pub fn compile_text(text: &str) -> OwnedFd {
    compile(&wat::parse_str(text).unwrap()).unwrap()
}

pub fn load_error(load: Load, code: &OwnedFd) -> String {
    let mut worker = Worker::spawn(WASM);
    let message = match worker.load(load, code) {
        Event::LoadFailed { message } => message,
        other => panic!("{other:?} instead of LoadFailed"),
    };
    assert_eq!(worker.exit().0, Some(WorkerExit::Load));
    message
}

/// The error for a module that is no plugin, whatever its limits.
pub fn text_error(text: &str) -> String {
    load_error(load(CodeKind::WasmCore, limits()), &compile_text(text))
}
