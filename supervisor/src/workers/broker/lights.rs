//! Lights that a plugin sets: the latest value wins, and no more are sent than a port bears.
//! Pure: the time is an argument.

use super::midi::MidiMessage;
use super::refusal;
use crate::clock::Time;
use crate::workers::rate::TokenBucket;
use midimon_shared::host::{HostRefusal, Light, RefusalKind};
use midimon_shared::{Channel, ChannelMessage, U7};
use std::collections::{BTreeMap, VecDeque};

/// Messages for lights: a second, and at once. A cable carries 1,040 of three bytes a second
/// (31,250 baud); a quarter of them leaves notes on the same output room to come at once. The
/// burst is every pad of an 8 × 8 grid with its edges, and half of them again.
pub const LIGHTS: (u32, u32) = (250, 128);
/// Lights of one plugin that are on, or wait to be set.
pub const MAX_LIGHTS: usize = 1_024;

/// One light: its output, and the message that sets it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lamp {
    port: String,
    channel: Channel,
    light: Light,
}

impl Lamp {
    /// `None` for a number above 127.
    #[must_use]
    pub fn new(port: String, channel: Channel, light: Light) -> Option<Self> {
        let (Light::Note(number) | Light::Control(number)) = light;
        (number < 128).then_some(Self { port, channel, light })
    }

    /// The message that gives it this value. Off is a note-on of velocity 0, which
    /// controllers know that take a note-off for nothing.
    fn message(&self, value: U7) -> (String, MidiMessage) {
        let channel = self.channel;
        let message = match self.light {
            Light::Note(note) => ChannelMessage::NoteOn { channel, note: U7::truncate(note), velocity: value },
            Light::Control(number) => {
                ChannelMessage::ControlChange { channel, controller: U7::truncate(number), value }
            }
        };
        (self.port.clone(), MidiMessage::Channel(message))
    }
}

#[derive(Clone, Copy, Debug)]
struct State {
    wanted: U7,
    /// What was sent last; off before the first.
    sent: U7,
    waits: bool,
}

/// See the module. Kept from process to process, so that a restart brings no new allowance.
#[derive(Debug)]
pub struct Lights {
    known: BTreeMap<Lamp, State>,
    waiting: VecDeque<Lamp>,
    bucket: TokenBucket,
    next: Option<Time>,
    sent: u64,
    replaced: u64,
}

impl Default for Lights {
    fn default() -> Self {
        Self {
            known: BTreeMap::new(),
            waiting: VecDeque::new(),
            bucket: TokenBucket::new(LIGHTS.0, LIGHTS.1),
            next: None,
            sent: 0,
            replaced: 0,
        }
    }
}

impl Lights {
    /// Takes a light's new value; it is sent by [`Self::due`], at once where there is room.
    ///
    /// # Errors
    /// [`MAX_LIGHTS`] others are on or wait.
    pub fn set(&mut self, now: Time, lamp: Lamp, value: U7) -> Result<(), HostRefusal> {
        let has_room = self.known.len() < MAX_LIGHTS;
        match self.known.get_mut(&lamp) {
            Some(state) if state.waits => {
                state.wanted = value;
                self.replaced += 1;
                return Ok(());
            }
            Some(state) => (state.wanted, state.waits) = (value, true),
            None if has_room => {
                let state = State { wanted: value, sent: U7::default(), waits: true };
                self.known.insert(lamp.clone(), state);
            }
            None => {
                let words = format!("{MAX_LIGHTS} lights are on, which is the most: switch one off first");
                return Err(refusal(RefusalKind::TooMany, words));
            }
        }
        self.waiting.push_back(lamp);
        self.next = Some(self.next.unwrap_or(now));
        Ok(())
    }

    /// The messages whose turn has come.
    pub fn due(&mut self, now: Time) -> Vec<(String, MidiMessage)> {
        let mut messages = Vec::new();
        while !self.waiting.is_empty() && self.bucket.take(now) {
            let Some(lamp) = self.waiting.pop_front() else { break };
            let Some(state) = self.known.get_mut(&lamp) else { continue };
            (state.sent, state.waits) = (state.wanted, false);
            messages.push(lamp.message(state.wanted));
            if state.wanted == U7::default() {
                self.known.remove(&lamp);
            }
        }
        self.next = (!self.waiting.is_empty()).then(|| now + self.bucket.wait(now));
        self.sent += messages.len() as u64;
        messages
    }

    /// When [`Self::due`] has something.
    #[must_use]
    pub const fn next(&self) -> Option<Time> {
        self.next
    }

    /// The process has ended: what waits is forgotten; the messages that switch off what is on.
    pub fn release(&mut self) -> Vec<(String, MidiMessage)> {
        self.waiting.clear();
        self.next = None;
        let known = std::mem::take(&mut self.known);
        let lit = known.into_iter().filter(|(_, state)| state.sent != U7::default());
        lit.map(|(lamp, _)| lamp.message(U7::default())).collect()
    }

    /// How many messages were sent, and how many values gave way to a newer one.
    #[must_use]
    pub const fn counts(&self) -> (u64, u64) {
        (self.sent, self.replaced)
    }
}

#[cfg(test)]
#[path = "lights_tests.rs"]
mod tests;
