//! WASM guests of the old interface, written as text.

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
