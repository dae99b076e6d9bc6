//! Which of the configured devices a message comes from.

use crate::mapping::compiled::{Compiled, DeviceConfig};
use crate::mapping::types::DeviceIndex;

/// The configured device a source of this name is: exact name, then prefix, then
/// substring; else the one that takes every input; else the first.
#[must_use]
pub fn device_of(source: &str, compiled: &Compiled) -> DeviceIndex {
    let rank = |device: &DeviceConfig| match device.name.as_deref() {
        Some(name) if name == source => 0,
        Some(name) if source.starts_with(name) => 1,
        Some(name) if source.contains(name) => 2,
        None => 3,
        Some(_) => 4,
    };
    let best = compiled.devices.iter().enumerate().min_by_key(|(_, device)| rank(device));
    best.map_or(0, |(index, _)| DeviceIndex::try_from(index).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::config::load_text;

    #[test]
    fn an_exact_name_beats_a_prefix_and_a_prefix_a_substring() {
        let text = r#"
            schema = 1
            devices = [
                { alias = "twister", match = { name = "Twister" } },
                { alias = "long", match = { name = "Twister MIDI 1" } },
            ]
        "#;
        let compiled = load_text("test", text, &|_| true).unwrap().compiled;
        let alias = |source| &*compiled.devices[usize::from(device_of(source, &compiled))].alias;
        assert_eq!(alias("Twister MIDI 1"), "long");
        assert_eq!(alias("Twister MIDI 2"), "twister");
        assert_eq!(alias("My Twister"), "twister");
        assert_eq!(alias("a replayed file"), "twister");
    }
}
