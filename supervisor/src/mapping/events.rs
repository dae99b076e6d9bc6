//! The events of plugins that mappings wait for, as small numbers. Pure.

use midimon_shared::PluginId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Most different events one configuration can wait for: its tables have a place for each in each mode.
pub const MAX_EVENTS: usize = 1024;

/// Which event was emitted, and with which of the values that mappings name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventKey {
    /// Which of the table.
    pub(super) event: u16,
    /// Counts its values from 1; 0 for any that no mapping names.
    pub(super) value: u16,
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct EventTable(Vec<Event>);

#[derive(Clone, Debug)]
struct Event {
    plugin: PluginId,
    name: Arc<str>,
    /// Those that mappings name, in order.
    values: Vec<Arc<str>>,
}

impl EventTable {
    /// Of everything that mappings name; a value where they name one.
    pub(super) fn build<'n>(named: impl Iterator<Item = (&'n PluginId, &'n Arc<str>, Option<&'n Arc<str>>)>) -> Self {
        let mut events: BTreeMap<(&PluginId, &Arc<str>), BTreeSet<&Arc<str>>> = BTreeMap::new();
        for (plugin, name, value) in named {
            events.entry((plugin, name)).or_default().extend(value);
        }
        let event = |((plugin, name), values): ((&PluginId, &Arc<str>), BTreeSet<&Arc<str>>)| Event {
            plugin: plugin.clone(),
            name: name.clone(),
            values: values.into_iter().cloned().collect(),
        };
        Self(events.into_iter().map(event).collect())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The key of what a plugin emitted; `None` when no mapping waits for it.
    #[must_use]
    pub fn find(&self, plugin: &PluginId, name: &str, value: &str) -> Option<EventKey> {
        let event = self.0.binary_search_by(|event| (&event.plugin, &*event.name).cmp(&(plugin, name))).ok()?;
        let values = &self.0[event].values;
        let value = values.binary_search_by(|known| (**known).cmp(value)).map_or(0, |index| index + 1);
        Some(EventKey { event: u16::try_from(event).ok()?, value: u16::try_from(value).ok()? })
    }

    /// The plugins whose events are waited for.
    pub fn plugins(&self) -> impl Iterator<Item = &PluginId> {
        self.0.iter().map(|event| &event.plugin)
    }

    /// The number an event of another table has in this one, and the range of values that means the
    /// same here: one of them, or all (`0..=u16::MAX`).
    pub(super) fn translate(&self, old: &Self, event: u16, range: (u16, u16)) -> Option<(u16, (u16, u16))> {
        let Event { plugin, name, values } = old.0.get(usize::from(event))?;
        if range == ALL_VALUES {
            return Some((self.find(plugin, name, "")?.event, range));
        }
        let value = values.get(usize::from(range.0.checked_sub(1)?))?;
        let EventKey { event, value } = self.find(plugin, name, value)?;
        (value > 0).then_some((event, (value, value)))
    }
}

/// What a mapping takes that names no value.
pub(super) const ALL_VALUES: (u16, u16) = (0, u16::MAX);

#[cfg(test)]
mod tests {
    use super::*;

    fn table(named: &[(&str, &str, Option<&str>)]) -> EventTable {
        type Named = (PluginId, Arc<str>, Option<Arc<str>>);
        let own = |&(plugin, name, value): &(&str, &str, Option<&str>)| -> Named {
            (plugin.parse().unwrap(), name.into(), value.map(Into::into))
        };
        let named: Vec<Named> = named.iter().map(own).collect();
        EventTable::build(named.iter().map(|(plugin, name, value)| (plugin, name, value.as_ref())))
    }

    #[test]
    fn an_event_is_found_by_its_plugin_its_name_and_the_values_that_are_named() {
        let events = table(&[("obs", "scene", Some("Live")), ("obs", "scene", None), ("obs", "scene", Some("Break"))]);
        let find = |plugin: &str, name, value| events.find(&plugin.parse().unwrap(), name, value).map(|key| key.value);
        assert_eq!(events.len(), 1);
        assert_eq!(find("obs", "scene", "Break"), Some(1));
        assert_eq!(find("obs", "scene", "Live"), Some(2));
        assert_eq!(find("obs", "scene", "live"), Some(0));
        assert_eq!((find("obs", "scenes", ""), find("obs2", "scene", "Live")), (None, None));
    }

    #[test]
    fn numbers_of_another_table_are_translated_by_their_names() {
        let old = table(&[("obs", "scene", Some("Live")), ("obs", "scene", Some("Old")), ("zz", "gone", None)]);
        let new = table(&[("aa", "new", None), ("obs", "scene", Some("Break")), ("obs", "scene", Some("Live"))]);
        assert_eq!(new.translate(&old, 0, (1, 1)), Some((1, (2, 2))));
        assert_eq!(new.translate(&old, 0, ALL_VALUES), Some((1, ALL_VALUES)));
        assert_eq!(new.translate(&old, 0, (2, 2)), None, "a value that nothing names any more");
        assert_eq!((new.translate(&old, 1, ALL_VALUES), new.translate(&old, 9, (1, 1))), (None, None));
    }
}
