//! A plugin as a WebAssembly component: through the WIT package of `plugins/wit`.

mod connection;
mod export;
mod host;

#[allow(missing_docs, unsafe_code, clippy::undocumented_unsafe_blocks, clippy::all)] // generated
#[doc(hidden)]
pub mod bindings {
    wit_bindgen::generate!({
        path: "../wit",
        world: "midimon:plugin/midimon-plugin",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_component",
        default_bindings_module: "::midimon_plugin::component::bindings",
        runtime_path: "::midimon_plugin::component::wit_bindgen::rt",
    });
}

pub(crate) use connection::Stream;
pub use export::Component;
pub(crate) use host::Raw;
#[doc(hidden)]
pub use wit_bindgen;

use bindings::midimon::plugin::{names, types};
use std::borrow::Cow;
use std::marker::PhantomData;

/// A component's parameters come as JSON only.
#[derive(Clone, Copy)]
pub(crate) struct Pairs<'c>(PhantomData<&'c ()>);

impl<'c> Pairs<'c> {
    pub(crate) const NONE: Self = Self(PhantomData);

    pub(crate) const fn text(&self, _: &str) -> Option<&'c str> {
        None
    }
}

/// The numbers that midimon has names for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'c> {
    mode: Option<u16>,
    device: Option<u16>,
    lifetime: PhantomData<&'c ()>,
}

impl<'c> Names<'c> {
    const fn of(context: &types::Context) -> Self {
        Self { mode: context.mode, device: context.device, lifetime: PhantomData }
    }

    pub(crate) fn mode(&self) -> Option<Cow<'c, str>> {
        self.mode.and_then(names::mode).map(Cow::Owned)
    }

    pub(crate) fn device(&self) -> Option<Cow<'c, str>> {
        self.device.and_then(names::device).map(Cow::Owned)
    }
}
