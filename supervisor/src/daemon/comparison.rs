//! The mappings in force, compared with the plugins that were found last. Whichever of the two is new has
//! it done again; no manifest is read for it, and neither side waits for the other. When anything of what does
//! not fit changes with the plugins, the log is told all that is left of it.

use super::Catalogue;
use crate::mapping::config::{Diagnostics, PluginCalls};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Who is told what does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tell {
    /// Whoever asked for the reload, by [`Comparison::warnings`]; the log only of what changes after it.
    Asker,
    /// The log.
    Log,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Comparison {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    plugins: Option<Catalogue>,
    /// Plugins are about to be looked through: what was found before says nothing any more.
    awaited: bool,
    mappings: Option<Mappings>,
    /// Of configurations that were given: texts, not readings of one.
    given: u64,
}

/// What a configuration asks of plugins.
#[derive(Debug)]
struct Mappings {
    number: u64,
    calls: PluginCalls,
    tell: Tell,
    /// Of its file, none as long as it was not compared.
    found: Option<Diagnostics>,
    /// The file, with nothing said about it.
    file: Diagnostics,
}

impl Mappings {
    fn compare(&mut self, plugins: &Catalogue) {
        let mut found = self.file.clone();
        self.calls.compare(plugins, &mut found);
        let before = self.found.replace(found.clone());
        let is_new = match before {
            None => self.tell == Tell::Log,
            Some(before) => !before.iter().eq(found.iter()),
        };
        if is_new && !found.is_empty() {
            tracing::warn!("{}", found.render(false).trim_end());
        }
    }
}

impl Comparison {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plugins are about to be looked through: whatever is to be compared waits for what is found.
    pub fn await_plugins(&self) {
        self.state().awaited = true;
    }

    /// Takes the calls of a configuration that is in force from now on; `read` is what was said about its
    /// file. Returns its number, the one it had already where its text is the same.
    pub fn set_mappings(&self, calls: PluginCalls, read: &Diagnostics, tell: Tell) -> u64 {
        let mut state = self.state();
        let is_same = state.mappings.as_ref().is_some_and(|before| before.file.source() == read.source());
        state.given += u64::from(!is_same);
        let mut mappings = Mappings { number: state.given, calls, tell, found: None, file: read.nothing_said() };
        if let (Some(plugins), false) = (&state.plugins, state.awaited) {
            mappings.compare(plugins);
        }
        state.mappings = Some(mappings);
        state.given
    }

    /// Takes what was found.
    pub fn set_plugins(&self, plugins: Catalogue) {
        let mut state = self.state();
        state.awaited = false;
        if let Some(mappings) = &mut state.mappings {
            mappings.compare(&plugins);
        }
        state.plugins = Some(plugins);
    }

    /// What does not fit of the configuration with this number; nothing of one that is in force no more. Where plugins
    /// are still being looked through, what was found before counts, and the log is told what changes.
    pub fn warnings(&self, number: u64) -> Option<Diagnostics> {
        let State { plugins, mappings, .. } = &mut *self.state();
        let mappings = mappings.as_mut().filter(|mappings| mappings.number == number)?;
        match (&mappings.found, plugins) {
            (None, Some(plugins)) => mappings.compare(plugins),
            (None, None) => mappings.tell = Tell::Log,
            (Some(_), _) => {}
        }
        mappings.found.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::config::load_text;
    use crate::plugins::discover::Found;
    use std::fs;
    use std::path::Path;

    fn call(action: &str) -> String {
        let action = format!("action = {{ type = \"Plugin\", plugin = \"lamp\", action = \"{action}\" }}\n");
        format!("[[global_mappings]]\ntrigger = {{ type = \"Note\", note = 1 }}\n{action}")
    }

    fn give(comparison: &Comparison, action: &str) -> u64 {
        let loaded = load_text("config.toml", &call(action), &|_| true).unwrap();
        comparison.set_mappings(loaded.calls, &loaded.warnings, Tell::Asker)
    }

    fn lamp(dir: &Path, action: &str) -> Catalogue {
        let lamp = dir.join("lamp");
        fs::create_dir_all(&lamp).unwrap();
        let manifest =
            "schema = 1\nid = \"lamp\"\nname = \"N\"\nversion = \"1.0.0\"\nkind = \"native\"\nentry = \"x.so\"";
        fs::write(lamp.join("plugin.toml"), format!("{manifest}\n[[actions]]\nname = \"{action}\"\n")).unwrap();
        Catalogue::of(&Found::look(Some(dir), None))
    }

    fn said(comparison: &Comparison, number: u64) -> Option<Vec<String>> {
        let found = comparison.warnings(number)?;
        Some(found.iter().map(|one| one.message.clone()).collect())
    }

    #[test]
    fn whichever_comes_last_has_the_two_compared() {
        let (dir, comparison) = (tempfile::tempdir().unwrap(), Comparison::default());
        let wrong = |action: &str| Some(vec![format!("plugin `lamp` has no action `{action}`")]);
        let dim = give(&comparison, "dim");
        assert_eq!(said(&comparison, dim), None, "nobody knows the plugins");
        comparison.set_plugins(lamp(dir.path(), "off"));
        assert_eq!(said(&comparison, dim), wrong("dim"));
        comparison.set_plugins(lamp(dir.path(), "dim"));
        assert_eq!(said(&comparison, dim), Some(vec![]));
        let off = give(&comparison, "off");
        assert_eq!((said(&comparison, off), said(&comparison, dim)), (wrong("off"), None), "one is in force");
    }

    #[test]
    fn calls_wait_for_plugins_that_are_about_to_be_looked_through_but_whoever_asks_does_not() {
        let (dir, comparison) = (tempfile::tempdir().unwrap(), Comparison::default());
        comparison.set_plugins(lamp(dir.path(), "off"));
        comparison.await_plugins();
        let dim = give(&comparison, "dim");
        let is_compared = || comparison.state().mappings.as_ref().unwrap().found.is_some();
        assert!(!is_compared());
        assert_eq!(give(&comparison, "dim"), dim, "read once more, it is the same");
        assert!(!is_compared(), "nor does who reads it next meet what was found before");
        comparison.set_plugins(lamp(dir.path(), "dim"));
        assert!(is_compared());
        assert_eq!(said(&comparison, dim), Some(vec![]));
        comparison.await_plugins();
        let off = give(&comparison, "off");
        assert_eq!(said(&comparison, off).unwrap().len(), 1, "from what was found before");
    }
}
