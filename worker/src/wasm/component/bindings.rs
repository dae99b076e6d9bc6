//! The types and traits of `plugins/wit`.
#![allow(missing_docs)]

wasmtime::component::bindgen!({
    path: "../plugins/wit",
    world: "midimon-plugin",
    imports: { default: trappable },
    with: { "midimon:plugin/net.connection": super::net::Connection },
    trappable_error_type: { "midimon:plugin/types.refusal" => super::state::Refused },
});
