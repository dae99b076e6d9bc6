//! The rows, a file for each group of them.

mod crowd;
mod engine;
mod idle;
mod in_process;
mod memory;
mod million;
mod one_way;
mod packages;
mod reload;
mod round_trip;
mod sandbox;
mod start;
mod throughput;

use crate::report::Bar;
use crate::{Effort, Result};
use midimon_shared::Limits;

/// Measures one group.
pub type Measure = fn(Effort) -> Result<Vec<Bar>>;

/// All groups, by the name `--only` takes.
pub const GROUPS: [(&str, Measure); 14] = [
    ("one-way", one_way::measure),
    ("round-trip", round_trip::measure),
    ("sandbox", sandbox::measure),
    ("throughput", throughput::measure),
    ("spawn", start::spawn),
    ("restart", start::restart),
    ("memory", memory::measure),
    ("engine", engine::measure),
    ("idle", idle::measure),
    ("reload", reload::measure),
    ("million", million::measure),
    ("crowd", crowd::measure),
    ("packages", packages::measure),
    ("in-process", in_process::measure),
];

/// One kind of plugin among the rows.
#[derive(Clone, Copy, Debug)]
struct Kind {
    /// As rows call it.
    name: &'static str,
    /// The example that answers `quiet` at once.
    echo: &'static str,
    /// The plugin that notes when it is called.
    probe: &'static str,
    /// The note that [`config`] maps to it.
    note: u8,
}

const KINDS: [Kind; 3] = [
    Kind { name: "native", echo: "echo", probe: "probe", note: 60 },
    Kind { name: "component", echo: "echo-component", probe: "probe-component", note: 62 },
    Kind { name: "old ABI", echo: "echo-wasm", probe: "probe-wasm", note: 61 },
];

impl Kind {
    const fn press(self) -> [u8; 3] {
        [0x90, self.note, 100]
    }

    const fn release(self) -> [u8; 3] {
        [0x80, self.note, 64]
    }

    /// A controller's message; each one is a trigger.
    const fn turn(self, value: u8) -> [u8; 3] {
        [0xB0, self.note, value]
    }
}

/// Each kind's note and controller call `action` of the plugin that `plugin` names.
fn config(plugin: impl Fn(&Kind) -> &'static str, action: &str) -> String {
    let mappings = KINDS.iter().flat_map(|kind| {
        let triggers = [format!("type = \"Note\", note = {}", kind.note), format!("type = \"CC\", cc = {}", kind.note)];
        let plugin = plugin(kind);
        triggers.map(|trigger| {
            format!(
                "[[global_mappings]]\ntrigger = {{ {trigger} }}\n\
                 action = {{ type = \"Plugin\", plugin = \"{plugin}\", action = \"{action}\" }}\n"
            )
        })
    });
    mappings.collect()
}

/// Limits under which a worker can be killed as often as one likes: each crash is its first.
fn never_quarantined() -> Limits {
    Limits { healthy_after_s: 0, crash_limit: u32::MAX, ..Limits::default() }
}
