//! Between the world's export and the trait.

use super::bindings::exports::midimon::plugin::plugin::Guest;
use super::bindings::midimon::plugin::types;
use super::{Names, Pairs, Raw};
use crate::outcome::perform;
use crate::{Context, Error, Host, Level, Metadata, Params, Plugin, Trigger};
use std::any::Any;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::marker::PhantomData;

/// What `export_plugin!` exports for a plugin.
#[derive(Debug)]
pub struct Component<P>(PhantomData<P>);

thread_local! {
    /// The one plugin of this instance, from `start` on. A component has one thread.
    static PLUGIN: RefCell<Option<Box<dyn Any>>> = const { RefCell::new(None) };
    /// What it can be called with, by number.
    static BOUND: RefCell<BTreeMap<u32, Bound>> = const { RefCell::new(BTreeMap::new()) };
}

/// An action with its parameters, which are parsed at most once.
struct Bound {
    action: String,
    params: Params<'static>,
}

impl<P: Plugin> Guest for Component<P> {
    fn describe() -> types::Metadata {
        let Metadata { name, version, description } = P::describe();
        types::Metadata { name: name.into(), version: version.into(), description: description.into() }
    }

    fn start(settings: String) -> Result<(), types::Failure> {
        // a panic ends the instance: its words would be lost with it
        std::panic::set_hook(Box::new(|panic| Raw.log(Level::Error, &panic.to_string())));
        let mut plugin = P::default();
        let settings = Params::new(Cow::Owned(settings), Pairs::NONE);
        plugin.init(Host { raw: Raw }, &settings).map_err(|error| failure(&error))?;
        PLUGIN.set(Some(Box::new(plugin)));
        Ok(())
    }

    fn bind(binding: u32, action: String, params: String) -> Result<(), types::Failure> {
        let params = Params::new(Cow::Owned(params), Pairs::NONE);
        BOUND.with_borrow_mut(|bound| bound.insert(binding, Bound { action, params }));
        Ok(())
    }

    fn handle(binding: u32, context: types::Context) -> Result<Option<String>, types::Failure> {
        PLUGIN.with_borrow_mut(|plugin| {
            let plugin = plugin.as_mut().and_then(|plugin| plugin.downcast_mut::<P>());
            let plugin = plugin.ok_or_else(|| failure(&Error::new("the plugin was not started")))?;
            BOUND.with_borrow(|bound| {
                let bound = bound.get(&binding).ok_or_else(|| failure(&Error::new("the action was not bound")))?;
                let Bound { action, params } = bound;
                perform(plugin, Host { raw: Raw }, action, params, &context_of(&context))
                    .map_err(|error| failure(&error))
            })
        })
    }

    fn stop() {
        if let Some(mut plugin) = PLUGIN.take()
            && let Some(plugin) = plugin.downcast_mut::<P>()
        {
            plugin.shutdown();
        }
    }
}

fn failure(error: &Error) -> types::Failure {
    types::Failure { code: error.code(), message: error.message().to_owned() }
}

fn context_of(context: &types::Context) -> Context<'static> {
    let (message, message_len) = match context.message {
        None => ([0; 3], 0),
        // program changes and channel pressure have one data byte
        Some((status @ 0xC0..=0xDF, first, _)) => ([status, first, 0], 2),
        Some((status, first, second)) => ([status, first, second], 3),
    };
    Context {
        trigger: trigger_of(context.trigger),
        velocity: context.velocity,
        current_mode: context.mode.map(usize::from),
        timestamp_ms: context.timestamp_ms,
        monotonic_ns: context.monotonic_ns,
        message,
        message_len,
        names: Names::of(context),
    }
}

const fn trigger_of(trigger: types::Trigger) -> Trigger {
    match trigger {
        types::Trigger::Manual => Trigger::Manual,
        types::Trigger::NotePress => Trigger::NotePress,
        types::Trigger::NoteRelease => Trigger::NoteRelease,
        types::Trigger::ControlChange => Trigger::ControlChange,
        types::Trigger::PitchBend => Trigger::PitchBend,
        types::Trigger::ChannelPressure => Trigger::ChannelPressure,
        types::Trigger::PolyPressure => Trigger::PolyPressure,
        types::Trigger::ProgramChange => Trigger::ProgramChange,
        types::Trigger::Timer => Trigger::Timer,
        types::Trigger::PluginEvent => Trigger::PluginEvent,
    }
}
