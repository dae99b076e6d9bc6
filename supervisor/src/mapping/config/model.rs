//! A configuration as written: checked key by key, its names not yet resolved.

use super::calls::Places;
use super::walker::Span;
use crate::mapping::compiled::{DeviceConfig, Slot};
use crate::mapping::events::EventTable;
use crate::mapping::types::{Effect, PluginBinding};
use midimon_shared::{Channel, PluginId};
use std::sync::Arc;

/// A text with its place.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub text: Arc<str>,
    pub span: Span,
}

/// Modes, devices and mappings of one file.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub modes: Vec<Named>,
    pub devices: Vec<(DeviceConfig, Span)>,
    pub mappings: Vec<Mapping>,
    /// What their triggers name of plugins; see [`super::trigger::number_events`].
    pub events: EventTable,
}

#[derive(Debug)]
pub(super) struct Mapping {
    /// Index of its mode; `None` for a global one.
    pub mode: Option<usize>,
    pub id: Option<Named>,
    pub description: Option<Arc<str>>,
    /// `None`: wrong, and reported.
    pub trigger: Option<Trigger>,
    /// `None`: wrong, and reported.
    pub action: Option<Action>,
    pub span: Span,
}

#[derive(Debug)]
pub(super) struct Trigger {
    /// What it waits for. Of an event, slot and range are known when all triggers are.
    pub slot: Slot,
    pub event: Option<PluginEvent>,
    pub channel: Option<Channel>,
    pub device: Option<Named>,
    pub min: u16,
    pub max: u16,
    /// In a few words, for labels.
    pub label: String,
    pub span: Span,
}

/// An event of a plugin, as a trigger names it.
#[derive(Debug)]
pub(super) struct PluginEvent {
    pub plugin: PluginId,
    /// Where that is named.
    pub place: Span,
    pub name: Arc<str>,
    /// `None`: any.
    pub value: Option<Arc<str>>,
}

#[derive(Debug)]
pub(super) struct Action {
    pub kind: ActionKind,
    /// When it runs, where it says so itself.
    pub on: Option<(On, Span)>,
    /// In a few words, for labels.
    pub label: String,
    pub span: Span,
}

#[derive(Debug)]
pub(super) enum ActionKind {
    Plugin(PluginBinding, Box<Places>),
    Effect(Effect),
    Mode(Named),
    Sequence(Vec<Action>),
    Delay { ms: u32 },
    Repeat { action: Box<Action>, count: u32, delay_ms: u32 },
}

/// Which part of a press an action runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum On {
    #[default]
    Press,
    Release,
    Both,
}

impl On {
    pub const fn press(self) -> bool {
        matches!(self, Self::Press | Self::Both)
    }

    pub const fn release(self) -> bool {
        matches!(self, Self::Release | Self::Both)
    }
}
