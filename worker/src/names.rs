//! The names behind the indices in a trigger.

use midimon_shared::context::TriggerStamp;
use midimon_shared::protocol::{NameKind, Names};
use std::sync::Arc;

/// Modes and devices as the supervisor last named them. A clone shares them until one is changed.
#[derive(Clone, Debug, Default)]
pub struct NameTable {
    modes: Arc<Vec<String>>,
    devices: Arc<Vec<String>>,
}

impl NameTable {
    /// Whether it is the other one's copy: nothing was named since.
    #[must_use]
    pub fn is_copy_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.modes, &other.modes) && Arc::ptr_eq(&self.devices, &other.devices)
    }

    /// Takes in a message: names from its first index on are replaced.
    pub fn update(&mut self, names: Names) {
        let table = match names.kind {
            NameKind::Mode => &mut self.modes,
            NameKind::Device => &mut self.devices,
        };
        let table = Arc::make_mut(table);
        // an index is 16 bits wide, so a table has at most 65,536 names that can ever be asked for
        table.resize(usize::from(names.first), String::new());
        let room = (usize::from(u16::MAX) + 1).saturating_sub(table.len());
        table.extend(names.names.into_iter().take(room));
    }

    /// The active mode's name; empty when there is none.
    #[must_use]
    pub fn mode(&self, stamp: &TriggerStamp) -> &str {
        stamp.mode.and_then(|index| self.mode_at(index)).unwrap_or_default()
    }

    /// The device's alias; empty when there is none.
    #[must_use]
    pub fn device(&self, stamp: &TriggerStamp) -> &str {
        stamp.device.and_then(|index| self.device_at(index)).unwrap_or_default()
    }

    /// A mode's name, if there is one of that index.
    #[must_use]
    pub fn mode_at(&self, index: u16) -> Option<&str> {
        self.modes.get(usize::from(index)).map(String::as_str)
    }

    /// A device's alias, if there is one of that index.
    #[must_use]
    pub fn device_at(&self, index: u16) -> Option<&str> {
        self.devices.get(usize::from(index)).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_parts_continue_and_a_new_first_part_starts_over() {
        let mut table = NameTable::default();
        let mut update = |first, names: &[&str]| {
            let names = names.iter().map(|name| (*name).to_owned()).collect();
            table.update(Names { kind: NameKind::Mode, first, names });
            let name = |mode| table.mode(&TriggerStamp { mode, ..TriggerStamp::default() }).to_owned();
            [name(Some(0)), name(Some(1)), name(Some(2)), name(None), name(Some(u16::MAX))]
        };
        assert_eq!(update(0, &["a", "b"]), ["a", "b", "", "", ""]);
        assert_eq!(update(2, &["c"]), ["a", "b", "c", "", ""]);
        assert_eq!(update(0, &["x"]), ["x", "", "", "", ""]);
        assert_eq!(update(u16::MAX, &["last", "beyond"]), ["x", "", "", "", "last"]);
    }
}
