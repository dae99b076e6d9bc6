//! A configuration as tables the engine can run: immutable, shared, swapped whole.

use super::events::{EventKey, EventTable};
use super::types::{BindingIndex, DeviceIndex, Effect, EffectIndex, MappingIndex, ModeIndex, PluginBinding};
use midimon_shared::{Channel, ChannelMessage};
use std::ops::Range;
use std::sync::Arc;

/// Name of the mode a configuration without `[[modes]]` has.
pub const DEFAULT_MODE: &str = "Default";
/// Alias of the device a configuration without `[[devices]]` has.
pub const DEFAULT_DEVICE: &str = "default";

/// A configuration, checked and ready to run. There is always at least one
/// mode and one device; mode 0 is where the engine starts.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// Names of the modes; a `ModeIndex` counts these.
    pub modes: Vec<Arc<str>>,
    /// The devices to listen to; a `DeviceIndex` counts these.
    pub devices: Vec<DeviceConfig>,
    /// Every plugin action with its parameters, each once; a `BindingIndex` counts these.
    pub bindings: Vec<PluginBinding>,
    /// Every effect; an `EffectIndex` counts these.
    pub effects: Vec<Effect>,
    /// What to call each mapping; a `MappingIndex` counts these.
    pub mappings: Vec<MappingInfo>,
    /// The events of plugins that mappings wait for.
    pub events: EventTable,
    pub(super) rules: Vec<Rule>,
    pub(super) steps: Vec<Step>,
    pub(super) index: Index,
}

/// A device to listen to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceConfig {
    /// How mappings and contexts name it.
    pub alias: Arc<str>,
    /// Its input port: exact, then unique prefix, then unique substring.
    /// `None`: every hardware input.
    pub name: Option<Arc<str>>,
    /// Whether to open it at all.
    pub auto_connect: bool,
    /// Whether to open it again when it comes back.
    pub auto_reconnect: bool,
}

/// What to call a mapping, and where it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingInfo {
    /// Its `id` or `description`, else mode and trigger.
    pub label: Arc<str>,
    /// What it does, in a few words.
    pub action_label: Arc<str>,
    /// The mode it belongs to; `None` for a global one.
    pub mode: Option<ModeIndex>,
    /// Bytes of the configuration file it was written in.
    pub span: Range<usize>,
}

/// What a mapping waits for and the programs it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    pub matcher: Matcher,
    pub press: Program,
    pub release: Program,
}

/// Which messages a mapping takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Matcher {
    pub slot: Slot,
    /// `None`: any.
    pub channel: Option<Channel>,
    /// `None`: any.
    pub device: Option<DeviceIndex>,
    /// Smallest and largest value taken: velocity, pressure, controller value or bend; of an
    /// event, the number of its value.
    pub min: u16,
    pub max: u16,
}

impl Matcher {
    /// Whether every message `other` takes is taken by this one too.
    pub fn covers(&self, other: &Self) -> bool {
        self.slot == other.slot
            && (self.channel.is_none() || self.channel == other.channel)
            && (self.device.is_none() || self.device == other.device)
            && self.min <= other.min
            && other.max <= self.max
    }
}

/// A range of [`Compiled::steps`], run in order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Program {
    pub start: u32,
    pub end: u32,
    /// Whether it has a [`Step::Delay`].
    pub waits: bool,
}

impl Program {
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// One step of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Plugin(BindingIndex),
    Effect(EffectIndex),
    /// Like `Effect`, after the engine has released what is held.
    Panic(EffectIndex),
    Mode(ModeIndex),
    /// Milliseconds.
    Delay(u32),
}

/// What a message is about, as a small number: the kind, and the note,
/// controller or program; after those, the events of plugins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Slot(u16);

impl Slot {
    /// Those of messages; events of plugins come after them.
    const MESSAGES: u16 = 4 * 128 + 2;
    pub const CHANNEL_PRESSURE: Self = Self(512);
    pub const PITCH_BEND: Self = Self(513);

    pub const fn note(note: u8) -> Self {
        Self(note as u16 & 127)
    }

    pub const fn control(controller: u8) -> Self {
        Self(128 + (controller as u16 & 127))
    }

    pub const fn program(program: u8) -> Self {
        Self(256 + (program as u16 & 127))
    }

    pub const fn poly_pressure(note: u8) -> Self {
        Self(384 + (note as u16 & 127))
    }

    /// An event of the configuration's table.
    pub const fn event(event: u16) -> Self {
        Self(Self::MESSAGES.saturating_add(event))
    }

    const fn as_event(self) -> Option<u16> {
        self.0.checked_sub(Self::MESSAGES)
    }

    /// Whether what it is about is pressed and released.
    pub const fn is_note(self) -> bool {
        self.0 < 128
    }

    /// What a message is about, and its value; `None` for a note-off.
    pub fn of(message: ChannelMessage) -> Option<(Self, u16)> {
        use ChannelMessage::*;
        Some(match message {
            NoteOff { .. } => return None,
            NoteOn { note, velocity, .. } => (Self::note(note.get()), velocity.get().into()),
            PolyPressure { note, pressure, .. } => (Self::poly_pressure(note.get()), pressure.get().into()),
            ControlChange { controller, value, .. } => (Self::control(controller.get()), value.get().into()),
            ProgramChange { program, .. } => (Self::program(program.get()), 0),
            ChannelPressure { pressure, .. } => (Self::CHANNEL_PRESSURE, pressure.get().into()),
            PitchBend { value, .. } => (Self::PITCH_BEND, value.get()),
        })
    }
}

/// Rules by what they wait for: for each scope (the modes in order, then the
/// globals) and slot, the candidates in the order written. A look-up costs two
/// loads and the candidates of that one key, pad or knob.
#[derive(Clone, Debug)]
pub(super) struct Index {
    /// Slots of one scope.
    slots: usize,
    /// `starts[scope * slots + slot]` is where its candidates start; one more ends the last.
    starts: Vec<u32>,
    candidates: Vec<Candidate>,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    matcher: Matcher,
    mapping: MappingIndex,
}

impl Index {
    /// `scopes` counts the modes and one more for the globals; rules come with their scope.
    pub fn build(scopes: usize, events: &EventTable, rules: impl Iterator<Item = (usize, Matcher)>) -> Self {
        let slots = usize::from(Slot::MESSAGES) + events.len();
        let mut keyed: Vec<_> = rules
            .enumerate()
            .map(|(mapping, (scope, matcher))| {
                let key = scope * slots + usize::from(matcher.slot.0);
                (key, Candidate { matcher, mapping: mapping as MappingIndex })
            })
            .collect();
        keyed.sort_by_key(|&(key, _)| key); // stable: the order written decides within a key
        let mut starts = vec![0; scopes * slots + 1];
        for &(key, _) in &keyed {
            starts[key + 1] += 1;
        }
        let mut total = 0;
        for start in &mut starts {
            total += *start;
            *start = total;
        }
        Self { slots, starts, candidates: keyed.into_iter().map(|(_, candidate)| candidate).collect() }
    }

    /// Those of a slot in a scope; none for a slot there is not.
    fn candidates(&self, scope: usize, slot: Slot) -> Option<&[Candidate]> {
        // a slot beyond would be the next scope's
        let slot = Some(usize::from(slot.0)).filter(|&slot| slot < self.slots)?;
        let key = scope * self.slots + slot;
        self.candidates.get(*self.starts.get(key)? as usize..*self.starts.get(key + 1)? as usize)
    }

    fn first(&self, scope: usize, slot: Slot, value: u16, takes: impl Fn(&Matcher) -> bool) -> Option<MappingIndex> {
        let takes = |matcher: &Matcher| (matcher.min..=matcher.max).contains(&value) && takes(matcher);
        let found = self.candidates(scope, slot)?.iter().find(|candidate| takes(&candidate.matcher))?;
        Some(found.mapping)
    }
}

impl Default for Compiled {
    /// Every hardware input, one mode, no mappings: what runs while no configuration can be used.
    fn default() -> Self {
        Self {
            modes: vec![DEFAULT_MODE.into()],
            devices: vec![DeviceConfig::every_input()],
            bindings: Vec::new(),
            effects: Vec::new(),
            mappings: Vec::new(),
            events: EventTable::default(),
            rules: Vec::new(),
            steps: Vec::new(),
            index: Index::build(2, &EventTable::default(), std::iter::empty()),
        }
    }
}

impl DeviceConfig {
    pub(super) fn every_input() -> Self {
        Self { alias: DEFAULT_DEVICE.into(), name: None, auto_connect: true, auto_reconnect: true }
    }
}

impl Compiled {
    /// The mode of this name.
    #[must_use]
    pub fn mode_index(&self, name: &str) -> Option<ModeIndex> {
        self.modes.iter().position(|mode| &**mode == name).map(|index| index as ModeIndex)
    }

    /// The device of this alias.
    #[must_use]
    pub fn device_index(&self, alias: &str) -> Option<DeviceIndex> {
        self.devices.iter().position(|device| &*device.alias == alias).map(|index| index as DeviceIndex)
    }

    /// The mapping that takes a message: the first of the mode's, then of the globals.
    pub(super) fn find(
        &self,
        mode: ModeIndex,
        device: DeviceIndex,
        message: ChannelMessage,
        (slot, value): (Slot, u16),
    ) -> Option<MappingIndex> {
        let channel = message.channel();
        let takes = |matcher: &Matcher| {
            matcher.channel.is_none_or(|wanted| wanted == channel)
                && matcher.device.is_none_or(|wanted| wanted == device)
        };
        let first = |scope| self.index.first(scope, slot, value, takes);
        first(usize::from(mode)).or_else(|| first(self.modes.len()))
    }

    /// The mapping that takes an event: the first of the mode's, then of the globals.
    pub(super) fn find_event(&self, mode: ModeIndex, key: EventKey) -> Option<MappingIndex> {
        let first = |scope| self.index.first(scope, Slot::event(key.event), key.value, |_| true);
        first(usize::from(mode)).or_else(|| first(self.modes.len()))
    }

    pub(super) fn rule(&self, mapping: MappingIndex) -> Option<&Rule> {
        self.rules.get(mapping as usize)
    }

    fn program(&self, program: Program) -> &[Step] {
        self.steps.get(program.start as usize..program.end as usize).unwrap_or_default()
    }

    /// The mapping of `self` that waits for the same and does the same as `mapping` of `old`.
    pub(super) fn counterpart(&self, old: &Self, mapping: MappingIndex) -> Option<MappingIndex> {
        let (rule, info) = (old.rule(mapping)?, old.mappings.get(mapping as usize)?);
        let mode_name = info.mode.and_then(|mode| old.modes.get(usize::from(mode)));
        let scope = match mode_name {
            Some(name) => usize::from(self.mode_index(name)?),
            None => self.modes.len(),
        };
        let device = match rule.matcher.device {
            Some(device) => Some(self.device_index(&old.devices.get(usize::from(device))?.alias)?),
            None => None,
        };
        let mut wanted = Matcher { device, ..rule.matcher };
        if let Some(event) = wanted.slot.as_event() {
            let (event, range) = self.events.translate(&old.events, event, (wanted.min, wanted.max))?;
            (wanted.slot, (wanted.min, wanted.max)) = (Slot::event(event), range);
        }
        self.index.candidates(scope, wanted.slot)?.iter().filter(|candidate| candidate.matcher == wanted).find_map(
            |candidate| {
                let new = self.rule(candidate.mapping)?;
                let same = |ours, theirs| self.same_program(ours, old, theirs);
                (same(new.press, rule.press) && same(new.release, rule.release)).then_some(candidate.mapping)
            },
        )
    }

    fn same_program(&self, ours: Program, old: &Self, theirs: Program) -> bool {
        let (ours, theirs) = (self.program(ours), old.program(theirs));
        ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(&ours, &theirs)| self.same_step(ours, old, theirs))
    }

    fn same_step(&self, ours: Step, old: &Self, theirs: Step) -> bool {
        match (ours, theirs) {
            (Step::Plugin(a), Step::Plugin(b)) => self.bindings.get(a as usize) == old.bindings.get(b as usize),
            (Step::Effect(a), Step::Effect(b)) => self.effects.get(a as usize) == old.effects.get(b as usize),
            (Step::Mode(a), Step::Mode(b)) => self.modes.get(usize::from(a)) == old.modes.get(usize::from(b)),
            (Step::Delay(a), Step::Delay(b)) => a == b,
            (Step::Panic(_), Step::Panic(_)) => true,
            _ => false,
        }
    }
}
