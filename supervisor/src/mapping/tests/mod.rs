//! Timelines: a configuration and what is played on it, against what comes out.
//! Time is ticked by hand. One file a feature.

mod calls;
mod channels;
mod diagnostics;
mod documentation;
mod events;
mod first_match;
mod invariants;
mod limits;
mod modes;
mod panic;
mod release;
mod reload;
mod sequences;
mod settings;
mod streams;

use super::config::{Diagnostics, Loaded, load_text};
use super::types::{Effect, Input, Output};
use super::{Compiled, Engine};
use crate::clock::Time;
use midimon_shared::context::{TriggerKind, TriggerStamp};
use midimon_shared::{ChannelMessage, U7};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

fn load(toml: &str) -> Result<Loaded, Diagnostics> {
    load_text("config.toml", toml, &|_| true)
}

#[track_caller]
fn compiled(toml: &str) -> Arc<Compiled> {
    match load(toml) {
        Ok(loaded) => Arc::new(loaded.compiled),
        Err(diagnostics) => panic!("{}", diagnostics.render(false)),
    }
}

/// Plays a line on a configuration; the outcome has one line for each output.
///
/// `on:NOTE@VELOCITY off:NOTE cc:NUMBER=VALUE bend:VALUE at:PRESSURE poly:NOTE=PRESSURE
/// pc:PROGRAM event:PLUGIN.NAME=VALUE mode:NAME gone:DEVICE panic t:MILLISECONDS`; `2/on:60@1` is channel 2,
/// `twister!on:60@1` a device.
#[track_caller]
fn simulate(toml: &str, line: &str) -> String {
    let mut simulation = Simulation::new(compiled(toml));
    simulation.play(line);
    simulation.heard
}

/// An engine whose clock is turned by hand.
struct Simulation {
    engine: Engine,
    now: Time,
    heard: String,
}

impl Simulation {
    fn new(compiled: Arc<Compiled>) -> Self {
        Self { engine: Engine::new(compiled), now: Time::default(), heard: String::new() }
    }

    #[track_caller]
    fn play(&mut self, line: &str) {
        for word in line.split_whitespace() {
            match word.strip_prefix("t:") {
                Some(milliseconds) => self.wait(Duration::from_millis(milliseconds.parse().expect(word))),
                None => {
                    let input = self.input(word);
                    self.step(input);
                }
            }
        }
    }

    fn wait(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(due) = self.engine.next_timer().filter(|&due| due <= end) {
            self.now = due;
            self.step(Input::Timer);
        }
        self.now = end;
    }

    fn step(&mut self, input: Input) {
        let mut outputs = Vec::new();
        self.engine.step(self.now, input, &mut outputs);
        let compiled = Arc::clone(self.engine.compiled());
        self.hear(&outputs, &compiled, &compiled);
    }

    fn swap(&mut self, toml: &str) {
        let mut outputs = Vec::new();
        let old = self.engine.swap(self.now, compiled(toml), &mut outputs);
        let new = Arc::clone(self.engine.compiled());
        self.hear(&outputs, &old, &new);
    }

    fn hear(&mut self, outputs: &[Output], actions: &Compiled, modes: &Compiled) {
        for output in outputs {
            let text = match *output {
                Output::Plugin { binding, stamp, .. } => {
                    let binding = &actions.bindings[binding as usize];
                    format!("{}.{} {}", binding.plugin, binding.action, why(&stamp))
                }
                Output::Effect { effect, .. } => name(&actions.effects[effect as usize]),
                Output::ModeChanged(mode) => format!("mode {}", modes.modes[usize::from(mode)]),
            };
            writeln!(self.heard, "{} {text}", self.now.as_nanos() / 1_000_000).unwrap();
        }
    }

    #[track_caller]
    fn input(&self, word: &str) -> Input {
        let compiled = self.engine.compiled();
        let device = |alias: &str| compiled.device_index(alias).expect(alias);
        if let Some(mode) = word.strip_prefix("mode:") {
            return Input::SetMode(compiled.mode_index(mode).expect(mode));
        }
        if let Some(alias) = word.strip_prefix("gone:") {
            return Input::SourceGone(device(alias));
        }
        if word == "panic" {
            return Input::ReleaseAll;
        }
        let unix_ms = 1_000_000 + self.now.as_nanos() / 1_000_000;
        if let Some(event) = word.strip_prefix("event:") {
            let (plugin, rest) = event.split_once('.').expect(word);
            let (name, value) = rest.split_once('=').expect(word);
            let velocity = value.parse().ok().and_then(U7::new);
            // as the daemon does it
            return match compiled.events.find(&plugin.parse().expect(word), name, value) {
                Some(event) => Input::PluginEvent { event, velocity, unix_ms },
                None => Input::Timer,
            };
        }
        let (device, word) = word.split_once('!').map_or((0, word), |(alias, rest)| (device(alias), rest));
        let (channel, word) = word.split_once('/').map_or((1, word), |(number, rest)| (number.parse().unwrap(), rest));
        let (kind, rest) = word.split_once(':').expect(word);
        let number = |text: &str| text.parse::<u16>().expect(word);
        let pair = |sign, default| match rest.split_once(sign) {
            Some((first, second)) => (number(first), number(second)),
            None => (number(rest), default),
        };
        let (status, (first, second)) = match kind {
            "on" => (0x90, pair('@', 100)),
            "off" => (0x80, pair('@', 64)),
            "poly" => (0xA0, pair('=', 0)),
            "cc" => (0xB0, pair('=', 0)),
            "pc" => (0xC0, pair('=', 0)),
            "at" => (0xD0, pair('=', 0)),
            "bend" => (0xE0, (number(rest) & 127, number(rest) >> 7)),
            _ => panic!("{word}"),
        };
        let message = ChannelMessage::from_bytes([status + channel - 1, first as u8, second as u8]).expect(word);
        Input::Message { source: device, device, message, unix_ms }
    }
}

fn why(stamp: &TriggerStamp) -> String {
    let kind = match stamp.kind {
        TriggerKind::NotePress => "press",
        TriggerKind::NoteRelease => "release",
        TriggerKind::PluginEvent => "event",
        _ => "value",
    };
    stamp.velocity.map_or(kind.to_owned(), |velocity| format!("{kind} {velocity}"))
}

fn name(effect: &Effect) -> String {
    match effect {
        Effect::Log(text) => text.to_string(),
        Effect::Panic => "PANIC".to_owned(),
        other => format!("{other:?}"),
    }
}

/// A configuration of mappings in one line each: `note 60 = log a`.
fn pads(pads: &[(&str, &str)]) -> String {
    let mapping = |&(trigger, action): &(&str, &str)| {
        format!("[[global_mappings]]\ntrigger = {{ {trigger} }}\naction = {{ {action} }}\n")
    };
    "schema = 1\n".to_owned() + &pads.iter().map(mapping).collect::<String>()
}
