//! WASM guests, written as text: modules of the old interface, and components.

/// The types a component's functions speak of.
const TYPES: &str = include_str!("../../worker/tests/support/types.wat");
/// What its `handle` is called with.
const CALL: &str = include_str!("../../worker/tests/support/call.wat");
/// Its functions made of those of a core module `$main`, and exported.
const LIFTS: &str = include_str!("../../worker/tests/support/lifts.wat");

/// A component whose `handle` runs this body and succeeds, with `more` in its core module.
#[must_use]
pub fn component(more: &str, handle: &str) -> String {
    format!(
        r#"(component {TYPES}
        (core module $main
            (memory (export "memory") 2)
            (data (i32.const 0) "\40\00\00\00\05\00\00\00\45\00\00\00\05\00\00\00\4a\00\00\00\01\00\00\00")
            (data (i32.const 64) "guest1.0.0d")
            {more}
            (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 8192)
            (func (export "describe") (result i32) i32.const 0)
            (func (export "start") (param i32 i32) (result i32) i32.const 32)
            (func (export "bind") (param i32 i32 i32 i32 i32) (result i32) i32.const 32)
            (func (export "midimon:plugin/plugin@1.0.0#handle") {CALL} (result i32) {handle} i32.const 32)
            (func (export "stop")))
        (core instance $main (instantiate $main))
        (alias core export $main "memory" (core memory $memory))
        (alias core export $main "realloc" (core func $realloc))
        {LIFTS})"#
    )
}

/// What every guest needs; a test replaces what it is about.
#[derive(Clone, Debug)]
pub struct Guest {
    /// Import declarations.
    pub imports: String,
    /// Memory declarations, the first of them exported.
    pub memory: String,
    /// Data and further functions.
    pub more: String,
    /// What `init` returns: text at address 16.
    pub metadata: &'static str,
    /// Instructions before `init` returns the place of its metadata.
    pub init: String,
    /// The body of `alloc (param $size i32) (result i32)`.
    pub alloc: String,
    /// The body of `execute (param $ptr i32) (param $len i32) (result i32)`.
    pub execute: String,
}

impl Default for Guest {
    fn default() -> Self {
        Self {
            imports: String::new(),
            memory: r#"(memory (export "memory") 2)"#.into(),
            more: String::new(),
            metadata: r#"{"name":"guest","version":"1.0.0","description":"","type":"action"}"#,
            init: String::new(),
            alloc: "i32.const 8192".into(),
            execute: "i32.const 0".into(),
        }
    }
}

impl Guest {
    /// One whose `execute` is this.
    #[must_use]
    pub fn executing(body: impl Into<String>) -> Self {
        Self { execute: body.into(), ..Self::default() }
    }

    /// The module's text.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { imports, memory, more, metadata, init, alloc, execute } = self;
        let packed = (16_u64 << 32) | metadata.len() as u64;
        let data = metadata.replace('"', "\\\"");
        format!(
            r#"(module {imports} {memory} (data (i32.const 16) "{data}") {more}
            (func (export "init") (result i64) {init} i64.const {packed})
            (func (export "alloc") (param $size i32) (result i32) {alloc})
            (func (export "execute") (param $ptr i32) (param $len i32) (result i32) {execute}))"#
        )
    }
}
