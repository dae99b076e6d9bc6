//! Any messages on a configuration of every kind of step: nothing is held and
//! nothing waits after a panic, and every index that comes out exists.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midimon::clock::Time;
use midimon::mapping::{Engine, Input, Output, load_text};
use midimon_shared::ChannelMessage;
use std::sync::{Arc, LazyLock};

const CONFIG: &str = include_str!("../engine.toml");

static COMPILED: LazyLock<Arc<midimon::mapping::Compiled>> = LazyLock::new(|| {
    Arc::new(
        load_text("engine.toml", CONFIG, &|_| true).unwrap_or_else(|said| panic!("{}", said.render(false))).compiled,
    )
});

static EMITTER: LazyLock<midimon_shared::PluginId> =
    LazyLock::new(|| "echo".parse().unwrap_or_else(|error| panic!("{error}")));

fuzz_target!(|bytes: &[u8]| {
    let mut engine = Engine::new(Arc::clone(&COMPILED));
    let (mut now, mut outputs) = (Time::default(), Vec::new());
    for chunk in bytes.as_chunks::<4>().0 {
        let [wait, status, first, second] = *chunk;
        now = now + std::time::Duration::from_millis(wait.into());
        let input = match ChannelMessage::from_bytes([status, first, second]) {
            Some(message) => Input::Message { source: 0, device: 0, message, unix_ms: 0 },
            // bytes that are no message are an event now and then
            None if first % 4 == 0 => {
                match engine.compiled().events.find(&EMITTER, "e", ["", "1", "x"][usize::from(second % 3)]) {
                    Some(event) => Input::PluginEvent { event, velocity: None, unix_ms: 0 },
                    None => Input::Timer,
                }
            }
            None => [Input::Timer, Input::SetMode(first.into()), Input::SourceGone(0), Input::ReleaseAll]
                [usize::from(status % 4)],
        };
        outputs.clear();
        engine.step(now, input, &mut outputs);
        let compiled = engine.compiled();
        for output in &outputs {
            assert!(match *output {
                Output::Plugin { mapping, binding, .. } =>
                    compiled.mappings.get(mapping as usize).is_some()
                        && compiled.bindings.get(binding as usize).is_some(),
                Output::Effect { mapping, effect, .. } =>
                    compiled.mappings.get(mapping as usize).is_some() && compiled.effects.get(effect as usize).is_some(),
                Output::ModeChanged(mode) => compiled.modes.get(usize::from(mode)).is_some(),
            });
        }
    }
    engine.step(now, Input::ReleaseAll, &mut outputs);
    assert_eq!((engine.held(), engine.next_timer()), (0, None));
});
