//! One step of the engine, alone: how long, and whether it allocates.

use crate::report::{Bar, Reach};
use crate::stats::median;
use crate::{Effort, Result, counting};
use midimon::clock::Time;
use midimon::mapping::{Engine, Input, load_text};
use midimon_shared::ChannelMessage;
use std::sync::Arc;
use std::time::Instant;

const SIZES: [usize; 3] = [10, 1_000, 10_000];
const STEPS: usize = 200_000;

pub fn measure(effort: Effort) -> Result<Vec<Bar>> {
    let mut engines = Vec::new();
    for size in SIZES {
        let loaded = load_text("bench.toml", &config(size), &|_| true).map_err(|errors| errors.render(false))?;
        engines.push((size, Engine::new(Arc::new(loaded.compiled)), Vec::new()));
    }
    let messages = messages()?;
    let mut allocations = 0;
    for _ in 0..effort.runs() {
        for (_, engine, nanos) in &mut engines {
            let mut outputs = Vec::with_capacity(64);
            let mut hits = 0;
            let before = counting::allocations();
            let started = Instant::now();
            for step in 0..STEPS {
                let message = messages[step % messages.len()];
                let input = Input::Message { source: 0, device: 0, message, unix_ms: step as u64 };
                outputs.clear();
                engine.step(Time::from_nanos(step as u64 * 1000), input, &mut outputs);
                hits += outputs.len();
            }
            let took = started.elapsed();
            // before the figure is kept, which allocates
            allocations += counting::allocations() - before;
            nanos.push(took.as_nanos() as f64 / STEPS as f64);
            if hits == 0 {
                return Err("no message met a mapping".into());
            }
        }
    }
    let mut bars = Vec::new();
    for (size, _, nanos) in engines {
        let name = format!("engine step, {size} mappings in 10 modes");
        bars.push(Bar::new(name, median(nanos), "ns", Reach::AtMost(250.0)));
    }
    bars.push(Bar::new("allocations in all those steps", allocations as f64, "", Reach::AtMost(0.0)));
    Ok(bars)
}

/// Mappings spread over ten modes: notes by velocity, and controllers.
fn config(mappings: usize) -> String {
    let mut text = String::from("schema = 1\n");
    for mode in 0..10 {
        text += &format!("[[modes]]\nname = \"mode {mode}\"\n");
        for number in 0..mappings / 10 {
            let (note, velocity) = (number % 128, 1 + number / 128 % 126);
            let trigger = match number % 4 {
                3 => format!("type = \"CC\", cc = {}, value = \"{velocity}..\"", note % 120),
                _ => format!("type = \"Note\", note = {note}, velocity = \"{velocity}..\""),
            };
            let edges = if number % 8 == 1 { ", on = \"both\"" } else { "" };
            text += &format!(
                "[[modes.mappings]]\ntrigger = {{ {trigger} }}\n\
                 action = {{ type = \"Plugin\", plugin = \"echo\", action = \"quiet\"{edges} }}\n"
            );
        }
    }
    text
}

/// Pads pressed and released, several at once, and knobs turned.
fn messages() -> Result<Vec<ChannelMessage>> {
    let mut messages = Vec::new();
    for step in 0..1024_u32 {
        let byte = |number: u32| (number % 128) as u8;
        let bytes = match step % 4 {
            0 => [0x90, byte(step / 4), 1 + byte(step * 31) % 127],
            1 => [0xB0, byte(step / 4) % 120, byte(step * 17)],
            2 => [0xE0, byte(step), byte(step / 3)],
            // the pad of eight steps ago
            _ => [0x80, byte((step / 4).wrapping_sub(2)), 64],
        };
        messages.push(ChannelMessage::from_bytes(bytes).ok_or("no channel message")?);
    }
    Ok(messages)
}
