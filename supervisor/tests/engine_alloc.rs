//! The engine allocates nothing while it runs, however large the configuration.

use midimon::clock::Time;
use midimon::mapping::{Engine, Input, Output, load_text};
use midimon_shared::ChannelMessage;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

/// The system's allocator, counting what this thread asks of it.
struct Counting;

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches
// a thread-local without a destructor, which allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller keeps the contract of `realloc`
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        COUNT.set(COUNT.get() + 1);
        // SAFETY: the caller keeps the contract of `dealloc`
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Mappings spread over ten modes, of every kind the engine treats differently.
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
            let action = match number % 8 {
                0 => format!("type = \"ModeChange\", mode = \"mode {}\"", (mode + 1) % 10),
                1 => "type = \"Plugin\", plugin = \"echo\", action = \"x\", on = \"both\"".to_owned(),
                2 => {
                    "type = \"Repeat\", count = 3, delay_ms = 20, action = { type = \"Log\", text = \"x\" }".to_owned()
                }
                4 => "type = \"Panic\"".to_owned(),
                _ => "type = \"Plugin\", plugin = \"echo\", action = \"y\"".to_owned(),
            };
            text += &format!("[[modes.mappings]]\ntrigger = {{ {trigger} }}\naction = {{ {action} }}\n");
        }
    }
    text
}

/// A message of every kind, presses and releases among them.
fn message(step: u64) -> ChannelMessage {
    let byte = |number: u64| (number % 128) as u8;
    let bytes = match step % 7 {
        0 | 1 => [0x90, byte(step / 7), 1 + byte(step * 31) % 127],
        2 => [0x80, byte(step / 7), 64],
        3 => [0xB0, byte(step / 7) % 120, byte(step * 17)],
        4 => [0xE0, byte(step), byte(step / 3)],
        5 => [0x91, byte(step / 5), 100],
        _ => [0xD0, byte(step), 0],
    };
    ChannelMessage::from_bytes(bytes).unwrap()
}

#[test]
fn steps_of_10_1_000_and_10_000_mappings_allocate_nothing() {
    for mappings in [10, 1_000, 10_000] {
        let loaded = load_text("config.toml", &config(mappings), &|_| true).unwrap();
        let mut engine = Engine::new(Arc::new(loaded.compiled));
        let mut outputs: Vec<Output> = Vec::with_capacity(4096);
        let (mut produced, mut waited) = (0, 0);
        let before = COUNT.get();
        for step in 0..20_000 {
            let now = Time::from_millis(step);
            let input = match step % 1000 {
                998 => Input::ReleaseAll,
                999 => Input::SourceGone(0),
                _ => Input::Message { source: 0, device: 0, message: message(step), unix_ms: step },
            };
            outputs.clear();
            engine.step(now, input, &mut outputs);
            waited += usize::from(engine.next_timer().is_some());
            produced += outputs.len();
        }
        assert_eq!(COUNT.get() - before, 0, "{mappings} mappings");
        assert!(produced > 50, "{mappings} mappings gave only {produced} outputs");
        assert!(mappings == 10 || waited > 100, "{mappings} mappings waited only {waited} times");
    }
    let before = COUNT.get();
    drop(std::hint::black_box(vec![1]));
    assert_eq!(COUNT.get() - before, 2, "the count counts");
}
