//! The mappings in force, compared with the plugins that were found last. Whichever of the two is new has
//! it done again; no manifest is read for it, and neither side waits for the other.

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
    mappings: Option<Mappings>,
    /// Of configurations that were given.
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

    /// Takes the calls of a configuration that is in force from now on; `read` is what was said about its
    /// file. When plugins are about to be looked through, it waits for what is found. Returns its number.
    pub fn set_mappings(&self, calls: PluginCalls, read: &Diagnostics, tell: Tell, is_look_due: bool) -> u64 {
        let mut state = self.state();
        state.given += 1;
        let mut mappings = Mappings { number: state.given, calls, tell, found: None, file: read.nothing_said() };
        if let (Some(plugins), false) = (&state.plugins, is_look_due) {
            mappings.compare(plugins);
        }
        state.mappings = Some(mappings);
        state.given
    }

    /// Takes what was found.
    pub fn set_plugins(&self, plugins: Catalogue) {
        let mut state = self.state();
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

    fn give(comparison: &Comparison, action: &str, is_look_due: bool) -> u64 {
        let loaded = load_text("config.toml", &call(action), &|_| true).unwrap();
        comparison.set_mappings(loaded.calls, &loaded.warnings, Tell::Asker, is_look_due)
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
        let dim = give(&comparison, "dim", false);
        assert_eq!(said(&comparison, dim), None, "nobody knows the plugins");
        comparison.set_plugins(lamp(dir.path(), "off"));
        assert_eq!(said(&comparison, dim), wrong("dim"));
        comparison.set_plugins(lamp(dir.path(), "dim"));
        assert_eq!(said(&comparison, dim), Some(vec![]));
        let off = give(&comparison, "off", false);
        assert_eq!((said(&comparison, off), said(&comparison, dim)), (wrong("off"), None), "one is in force");
    }

    #[test]
    fn calls_wait_for_plugins_that_are_about_to_be_looked_through_but_whoever_asks_does_not() {
        let (dir, comparison) = (tempfile::tempdir().unwrap(), Comparison::default());
        comparison.set_plugins(lamp(dir.path(), "off"));
        let dim = give(&comparison, "dim", true);
        let is_compared = || comparison.state().mappings.as_ref().unwrap().found.is_some();
        assert!(!is_compared());
        comparison.set_plugins(lamp(dir.path(), "dim"));
        assert!(is_compared());
        assert_eq!(said(&comparison, dim), Some(vec![]));
        let off = give(&comparison, "off", true);
        assert_eq!(said(&comparison, off).unwrap().len(), 1, "from what was found before");
    }
}
