//! Components as text, and their compiled code.

use super::guests::compile_text;
use super::{WASM, Worker, limits, load};
use midimon_shared::limits::WorkerLimits;
use midimon_shared::protocol::{CodeKind, Load};
use std::os::fd::OwnedFd;

/// The types a plugin's functions speak of, and aliases of them.
const TYPES: &str = include_str!("types.wat");

/// What `handle` is called with.
const CALL: &str = include_str!("call.wat");
/// The plugin's functions made of those of the core module `$main`, with its `$memory` and `$realloc`, and exported.
const LIFTS: &str = include_str!("lifts.wat");

/// What every component needs, of which each test replaces what it is about.
///
/// Address 0 is what `describe` returns, 32 what `start`, `bind` and `handle` return (zeroes: well, with no answer); texts lie
/// from 64 on, and what the host hands over from 8192 on. Addresses from 1024 to 4096 are a test's.
pub struct Component {
    /// Imports of the component, and the core functions `canon lower` makes of them.
    pub imports: String,
    /// The same functions as arguments of the core module: `(export "f" (func $f))`.
    pub with: &'static str,
    /// How the core module imports them from `host`, and its memory, which is imported from `libc`.
    pub core: String,
    /// The memory with the texts; others are the core module's own.
    pub pages: u32,
    /// What `realloc` does before it returns an address.
    pub realloc: &'static str,
    pub describe: &'static str,
    pub start: &'static str,
    /// With `$binding`, and the addresses and lengths `$action`, `$action_length`, `$params` and `$params_length`.
    pub bind: &'static str,
    pub handle: &'static str,
    pub stop: &'static str,
}

impl Default for Component {
    fn default() -> Self {
        Self {
            imports: String::new(),
            with: "",
            core: String::new(),
            pages: 2,
            realloc: "",
            describe: "",
            start: "",
            bind: "",
            handle: "",
            stop: "",
        }
    }
}

impl Component {
    pub fn text(&self) -> String {
        let Self { imports, with, core, pages, realloc, describe, start, bind, handle, stop } = self;
        format!(
            r#"(component {TYPES}
            (core module $libc
                (memory (export "memory") {pages})
                (data (i32.const 0) "\40\00\00\00\05\00\00\00\45\00\00\00\05\00\00\00\4a\00\00\00\01\00\00\00")
                (data (i32.const 64) "guest1.0.0d")
                (global $next (mut i32) (i32.const 8192))
                (func (export "realloc") (param $old i32) (param $size i32) (param $align i32) (param $new i32)
                    (result i32) (local $at i32)
                    {realloc}
                    (if (i32.gt_u (global.get $next) (i32.const 60000)) (then (global.set $next (i32.const 8192))))
                    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                    (global.set $next (i32.add (local.get $at) (local.get $new)))
                    local.get $at))
            (core instance $libc (instantiate $libc))
            (alias core export $libc "memory" (core memory $memory))
            (alias core export $libc "realloc" (core func $realloc))
            {imports}
            (core module $main
                (import "libc" "memory" (memory $memory 1))
                {core}
                (func (export "describe") (result i32) {describe} i32.const 0)
                (func (export "start") (param $at i32) (param $length i32) (result i32) {start} i32.const 32)
                (func (export "bind") (param $binding i32) (param $action i32) (param $action_length i32)
                    (param $params i32) (param $params_length i32) (result i32) {bind} i32.const 32)
                (func (export "midimon:plugin/plugin@1.0.0#handle") {CALL} (result i32) {handle} i32.const 32)
                (func (export "stop") {stop}))
            (core instance $host {with})
            (core instance $main (instantiate $main
                (with "libc" (instance $libc)) (with "host" (instance $host))))
            {LIFTS})"#
        )
    }

    pub fn compiled(&self) -> OwnedFd {
        compile_text(&self.text())
    }

    /// A worker that runs it, with its action bound as 0 with a deadline in milliseconds.
    pub fn ready(&self, limits: WorkerLimits, timeout_ms: u32) -> Worker {
        let worker = Worker::ready(WASM, component(limits), &self.compiled());
        worker.bind(0, "act", "{}", timeout_ms);
        worker
    }

    /// The message of a load that must fail.
    pub fn load_error(&self, limits: WorkerLimits) -> String {
        super::guests::load_error(component(limits), &self.compiled())
    }
}

/// A load of a component.
pub fn component(limits: WorkerLimits) -> Load {
    load(CodeKind::WasmComponent, limits)
}

/// The error for a text that is no plugin.
pub fn component_error(text: &str) -> String {
    super::guests::load_error(component(limits()), &compile_text(text))
}

/// Imports and core functions for the log: `(call $write level address length)`.
pub fn logging() -> Component {
    Component {
        imports: r#"
            (import "midimon:plugin/log@1.0.0" (instance $log
                (type $l (enum "error" "warn" "info" "debug"))
                (export "level" (type $level (eq $l)))
                (export "write" (func (param "level" $level) (param "message" string)))))
            (core func $write (canon lower (func $log "write") (memory $memory)))"#
            .into(),
        with: r#"(export "write" (func $write))"#,
        core: r#"(import "host" "write" (func $write (param i32 i32 i32)))"#.into(),
        ..Component::default()
    }
}
