//! The engine: messages in, decisions out. Pure: the time is an argument, and
//! nothing here waits, allocates per message, or touches the outside world.
//!
//! A press belongs to the mapping that took it: its release goes there, whatever
//! the mode or the configuration is by then, and exactly once.

mod delays;
mod held;
mod swap;

use super::compiled::{Compiled, Program, Slot, Step};
use super::events::EventKey;
use super::types::{DeviceIndex, Input, MappingIndex, ModeIndex, Output, SourceIndex};
use crate::clock::Time;
use delays::{Cursor, Delays, Phase};
use held::{Held, Pad, Press};
use midimon_shared::context::{TriggerKind, TriggerStamp};
use midimon_shared::{ChannelMessage, U7};
use std::sync::Arc;
use std::time::Duration;

/// What is sent for a release that the device did not send itself (MIDI 1.0, note-off).
const RELEASE_VELOCITY: U7 = U7::truncate(64);

/// Runs one configuration after another.
///
/// ```
/// use midimon::clock::Time;
/// use midimon::mapping::{Compiled, Engine, Input};
/// use midimon_shared::ChannelMessage;
/// use std::sync::Arc;
///
/// let mut engine = Engine::new(Arc::new(Compiled::default()));
/// let mut outputs = Vec::new();
/// let message = ChannelMessage::from_bytes([0x90, 60, 100]).unwrap();
/// engine.step(Time::from_millis(5), Input::Message { source: 0, device: 0, message, unix_ms: 0 }, &mut outputs);
/// assert!(outputs.is_empty(), "no mapping, no output");
/// ```
#[derive(Debug)]
pub struct Engine {
    compiled: Arc<Compiled>,
    state: State,
}

/// Everything that changes from message to message.
#[derive(Debug)]
struct State {
    mode: ModeIndex,
    held: Held,
    delays: Delays,
    /// The last message's time on both clocks, to date what has no message of its own.
    wall: (Time, u64),
    refused: u64,
}

impl Engine {
    /// An engine in the first mode, with nothing held.
    #[must_use]
    pub fn new(compiled: Arc<Compiled>) -> Self {
        let state = State { mode: 0, held: Held::new(), delays: Delays::new(), wall: (Time::default(), 0), refused: 0 };
        Self { compiled, state }
    }

    /// Takes one input and appends what follows from it to `outputs`.
    ///
    /// Whatever became due before `now` comes first. Indices in the outputs are
    /// those of [`Self::compiled`].
    pub fn step(&mut self, now: Time, input: Input, outputs: &mut Vec<Output>) {
        let mut run = Run { compiled: &self.compiled, state: &mut self.state, now, outputs };
        run.what_is_due();
        match input {
            Input::Message { source, device, message, unix_ms } => run.message(source, device, message, unix_ms),
            Input::PluginEvent { event, velocity, unix_ms } => run.plugin_event(event, velocity, unix_ms),
            Input::Timer => {}
            Input::SetMode(mode) => run.set_mode(mode),
            Input::SourceGone(source) => run.release_where(|press| press.pad.source == source),
            Input::ReleaseAll => run.panic(),
        }
    }

    /// When [`Input::Timer`] should come.
    #[must_use]
    pub fn next_timer(&self) -> Option<Time> {
        self.state.delays.next_due()
    }

    /// The mode in force.
    #[must_use]
    pub fn mode(&self) -> ModeIndex {
        self.state.mode
    }

    /// The configuration in force.
    #[must_use]
    pub fn compiled(&self) -> &Arc<Compiled> {
        &self.compiled
    }

    /// Presses whose release has not come yet.
    #[must_use]
    pub fn held(&self) -> usize {
        self.state.held.len()
    }

    /// Mappings with a delay that did not start because 1,024 were waiting
    /// already, since the engine was made.
    #[must_use]
    pub fn dropped_delays(&self) -> u64 {
        self.state.refused
    }
}

/// Whether a program waits at its delays, or runs through because what it
/// belongs to is over.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    AsWritten,
    AtOnce,
}

/// One step's view of the engine.
struct Run<'e> {
    compiled: &'e Compiled,
    state: &'e mut State,
    now: Time,
    outputs: &'e mut Vec<Output>,
}

impl Run<'_> {
    fn what_is_due(&mut self) {
        while let Some(waiting) = self.state.delays.pop_due(self.now) {
            // counted from when it was due, so that delays add up to what was written
            self.go_on(waiting.due, waiting.cursor, waiting.stamp, Pace::AsWritten);
        }
    }

    fn message(&mut self, source: SourceIndex, device: DeviceIndex, message: ChannelMessage, unix_ms: u64) {
        self.state.wall = (self.now, unix_ms);
        match message {
            ChannelMessage::NoteOn { channel, note, .. } => self.press(Pad { source, channel, note }, device, message),
            ChannelMessage::NoteOff { channel, note, .. } => {
                if let Some(press) = self.state.held.take(Pad { source, channel, note }) {
                    self.release(press, message, Pace::AsWritten);
                }
            }
            ChannelMessage::ControlChange { controller, channel, .. } if controller.get() >= 120 => {
                // channel mode messages, not controllers: 120 is all sound off, 123-127 mean all notes off
                if matches!(controller.get(), 120 | 123..) {
                    self.release_where(|press| press.pad.source == source && press.pad.channel == channel);
                }
            }
            _ => {
                if let Some(mapping) = self.find(device, message) {
                    self.start(mapping, self.stamp(device, message));
                }
            }
        }
    }

    fn press(&mut self, pad: Pad, device: DeviceIndex, message: ChannelMessage) {
        // the release in between was lost on the way
        if let Some(press) = self.state.held.take(pad) {
            self.release_unasked(press);
        }
        let Some(mapping) = self.find(device, message) else {
            return;
        };
        if self.start(mapping, self.stamp(device, message)) {
            self.state.held.insert(Press { pad, device, mapping });
        }
    }

    fn plugin_event(&mut self, event: EventKey, velocity: Option<U7>, unix_ms: u64) {
        self.state.wall = (self.now, unix_ms);
        let Some(mapping) = self.compiled.find_event(self.state.mode, event) else { return };
        let stamp = TriggerStamp {
            velocity: velocity.map(U7::get),
            mode: Some(self.state.mode),
            device: None,
            unix_ms,
            monotonic_ns: self.now.as_nanos(),
            kind: TriggerKind::PluginEvent,
            message: None,
        };
        self.start(mapping, stamp);
    }

    fn find(&self, device: DeviceIndex, message: ChannelMessage) -> Option<MappingIndex> {
        self.compiled.find(self.state.mode, device, message, Slot::of(message)?)
    }

    /// Runs a mapping's press program; `false` when it could not start.
    fn start(&mut self, mapping: MappingIndex, stamp: TriggerStamp) -> bool {
        let Some(rule) = self.compiled.rule(mapping) else {
            return false;
        };
        // a program waits in one place at a time: with room at its start it finds room at each delay
        if rule.press.waits && self.state.delays.is_full() {
            self.state.refused += 1;
            return false;
        }
        self.go_on(self.now, Cursor { mapping, phase: Phase::Press, next: 0 }, stamp, Pace::AsWritten);
        true
    }

    fn release(&mut self, press: Press, message: ChannelMessage, pace: Pace) {
        let waits = self.compiled.rule(press.mapping).is_some_and(|rule| rule.release.waits);
        // a release is never refused: without room to wait it runs through
        let pace = if waits && self.state.delays.is_full() { Pace::AtOnce } else { pace };
        let stamp = self.stamp(press.device, message);
        self.go_on(self.now, Cursor { mapping: press.mapping, phase: Phase::Release, next: 0 }, stamp, pace);
    }

    /// A release the device did not send itself.
    fn release_unasked(&mut self, press: Press) {
        let Pad { channel, note, .. } = press.pad;
        self.release(press, ChannelMessage::NoteOff { channel, note, velocity: RELEASE_VELOCITY }, Pace::AtOnce);
    }

    fn release_where(&mut self, matches: impl Fn(&Press) -> bool) {
        while let Some(press) = self.state.held.take_first(&matches) {
            self.release_unasked(press);
        }
    }

    /// Releases everything; what remains of a release runs at once, what remains of a press is forgotten.
    fn panic(&mut self) {
        self.release_where(|_| true);
        while let Some(waiting) = self.state.delays.pop() {
            if waiting.cursor.phase == Phase::Release {
                self.go_on(self.now, waiting.cursor, waiting.stamp, Pace::AtOnce);
            }
        }
    }

    /// Runs a program from the cursor to its next delay or its end.
    fn go_on(&mut self, from: Time, mut cursor: Cursor, stamp: TriggerStamp, pace: Pace) {
        let Some(rule) = self.compiled.rule(cursor.mapping) else {
            return;
        };
        let Program { start, end, .. } = match cursor.phase {
            Phase::Press => rule.press,
            Phase::Release => rule.release,
        };
        let mapping = cursor.mapping;
        let steps = self.compiled.steps.get((start + cursor.next) as usize..end as usize).unwrap_or_default();
        for &step in steps {
            cursor.next += 1;
            match step {
                Step::Plugin(binding) => self.outputs.push(Output::Plugin { mapping, binding, stamp }),
                Step::Effect(effect) => self.outputs.push(Output::Effect { mapping, effect, stamp }),
                Step::Mode(mode) => self.set_mode(mode),
                Step::Panic(effect) => {
                    // at once: a panic, or something like it, is under way already
                    if pace == Pace::AsWritten {
                        self.panic();
                    }
                    self.outputs.push(Output::Effect { mapping, effect, stamp });
                }
                Step::Delay(_) if pace == Pace::AtOnce => {}
                Step::Delay(ms) => {
                    let due = from + Duration::from_millis(ms.into());
                    return self.state.delays.push(due, cursor, stamp);
                }
            }
        }
    }

    fn set_mode(&mut self, mode: ModeIndex) {
        if mode != self.state.mode && usize::from(mode) < self.compiled.modes.len() {
            self.state.mode = mode;
            self.outputs.push(Output::ModeChanged(mode));
        }
    }

    fn stamp(&self, device: DeviceIndex, message: ChannelMessage) -> TriggerStamp {
        let (then, unix_ms) = self.state.wall;
        let since = u64::try_from(self.now.since(then).as_millis()).unwrap_or(u64::MAX);
        TriggerStamp {
            velocity: message.velocity(),
            mode: Some(self.state.mode),
            device: Some(device),
            unix_ms: unix_ms.saturating_add(since),
            monotonic_ns: self.now.as_nanos(),
            kind: kind_of(message),
            message: Some(message),
        }
    }
}

const fn kind_of(message: ChannelMessage) -> TriggerKind {
    match message {
        ChannelMessage::NoteOn { .. } => TriggerKind::NotePress,
        ChannelMessage::NoteOff { .. } => TriggerKind::NoteRelease,
        ChannelMessage::ControlChange { .. } => TriggerKind::ControlChange,
        ChannelMessage::PitchBend { .. } => TriggerKind::PitchBend,
        ChannelMessage::ChannelPressure { .. } => TriggerKind::ChannelPressure,
        ChannelMessage::PolyPressure { .. } => TriggerKind::PolyPressure,
        ChannelMessage::ProgramChange { .. } => TriggerKind::ProgramChange,
    }
}
