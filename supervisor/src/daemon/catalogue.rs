//! The plugins that are there and the actions they say they have, for the mappings to be compared with.

use crate::home::Home;
use crate::mapping::config::{CallFault, CallPart, Diagnostics, KnownPlugins, PluginCalls};
use crate::plugins::discover::Found;
use crate::plugins::manifest::{ActionSpec, ParamProblem};
use crate::plugins::store::Store;
use midimon_shared::PluginId;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// See the module.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// The actions of each plugin; none where it does not list them, or its manifest cannot be read.
    plugins: BTreeMap<PluginId, Vec<ActionSpec>>,
    /// Whether there may be others: something could not be read.
    may_be_more: bool,
}

impl Catalogue {
    /// Adds a warning for whatever mappings ask of the plugins in `directory` (`[plugins] dir`) or
    /// installed in `home` that these do not have. Reads no manifest where nothing is asked of any.
    pub fn compare(home: &Home, directory: Option<&Path>, calls: &PluginCalls, warnings: &mut Diagnostics) {
        if !calls.is_empty() {
            calls.compare(&Self::of(&Found::look(directory, Some(&Store::open(home)))), warnings);
        }
    }

    /// What there is by a look at all of it.
    #[must_use]
    pub fn of(found: &Found) -> Self {
        let Found { scan, dev: _, store, may_be_more } = found;
        let mut plugins = BTreeMap::new();
        for manifest in scan.plugins.iter().map(|plugin| &plugin.manifest) {
            plugins.insert(manifest.id.clone(), manifest.actions.clone());
        }
        // of two with one id, the one under development is the one that runs
        let taken: HashSet<String> = plugins.keys().map(PluginId::uniqueness_key).collect();
        for (id, manifest) in scan.others.iter().filter(|(id, _)| !taken.contains(&id.uniqueness_key())) {
            let actions = manifest.as_ref().map(|manifest| manifest.actions.clone());
            plugins.insert(id.clone(), actions.unwrap_or_default());
        }
        Self { plugins, may_be_more: *may_be_more || store.is_some() }
    }
}

impl KnownPlugins for Catalogue {
    fn plugin(&self, plugin: &PluginId) -> Option<CallFault<'_>> {
        (!self.may_be_more && !self.plugins.contains_key(plugin)).then(|| CallFault {
            at: CallPart::Plugin,
            message: format!("there is no plugin `{plugin}`"),
            known: self.plugins.keys().map(PluginId::as_str).collect(),
        })
    }

    fn call(&self, plugin: &PluginId, action: &str, params: &Map<String, Value>) -> Vec<CallFault<'_>> {
        let actions = self.plugins.get(plugin).map_or(&[][..], Vec::as_slice);
        if actions.is_empty() {
            return Vec::new();
        }
        let Some(spec) = actions.iter().find(|spec| spec.name == action) else {
            let message = format!("plugin `{plugin}` has no action `{action}`");
            let known = actions.iter().map(|spec| spec.name.as_str()).collect();
            return vec![CallFault { at: CallPart::Action, message, known }];
        };
        let fault = |problem: ParamProblem| {
            let message = problem.to_string();
            let (at, known) = match problem {
                ParamProblem::Missing { .. } => (CallPart::Params, Vec::new()),
                ParamProblem::Type { name, .. } => (CallPart::Value(name), Vec::new()),
                ParamProblem::Unknown { name, .. } => {
                    (CallPart::Key(name), spec.params.iter().map(|param| param.name.as_str()).collect())
                }
            };
            CallFault { at, message, known }
        };
        spec.check(params).into_iter().map(fault).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::config::load_text;
    use std::fs;

    const LAMP: &str = r#"
[[actions]]
name = "dim"
params = [
    { name = "percent", type = "number", required = true },
    { name = "zones", type = "array" },
    { name = "steps", type = "integer" },
]

[[actions]]
name = "off"
"#;

    fn write(directory: &Path, id: &str, more: &str) {
        let dir = directory.join(id);
        fs::create_dir(&dir).unwrap();
        let text = format!(
            "schema = 1\nid = \"{id}\"\nname = \"N\"\nversion = \"1.0.0\"\nkind = \"native\"\nentry = \"x.so\"\n{more}"
        );
        fs::write(dir.join("plugin.toml"), text).unwrap();
    }

    /// What is said about calls, each `PLUGIN ACTION PARAMS`, of the plugins in a directory.
    fn said(directory: Option<&Path>, calls: &[(&str, &str, &str)]) -> Vec<String> {
        let home = tempfile::tempdir().unwrap();
        let one = |(note, (plugin, action, params)): (usize, &(&str, &str, &str))| {
            format!(
                "[[global_mappings]]\ntrigger = {{ type = \"Note\", note = {note} }}\naction = {{ type = \"Plugin\", \
                 plugin = \"{plugin}\", action = \"{action}\", params = {params} }}\n"
            )
        };
        let text: String = calls.iter().enumerate().map(one).collect();
        let mut loaded = load_text("config.toml", &text, &|_| true).unwrap();
        let home = Home::at(home.path()).unwrap();
        Catalogue::compare(&home, directory, &loaded.calls, &mut loaded.warnings);
        loaded.warnings.iter().map(|found| found.message.clone()).collect()
    }

    #[test]
    fn calls_are_compared_with_the_manifest_of_their_plugin() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "lamp", LAMP);
        let said = |action, params| said(Some(dir.path()), &[("lamp", action, params)]);
        assert_eq!(said("dim", "{ percent = 5, zones = [1, 2], steps = 3 }"), [""; 0]);
        assert_eq!(said("off", "{}"), [""; 0]);
        assert_eq!(said("dmi", "{ percent = 5 }"), ["plugin `lamp` has no action `dmi`"]);
        assert_eq!(said("dim", "{}"), ["`dim` needs the parameter `percent` (number)"]);
        assert_eq!(said("dim", "{ percent = \"5\" }"), ["the parameter `percent` of `dim` must be of type number"]);
        let of = ["zones` of `dim` must be of type array", "steps` of `dim` must be of type integer"];
        assert_eq!(
            said("dim", "{ percent = 1, zones = 1, steps = 1.5 }"),
            of.map(|rest| format!("the parameter `{rest}"))
        );
        assert_eq!(said("off", "{ now = true }"), ["`off` has no parameter `now`; it has: none"]);
    }

    #[test]
    fn a_manifest_without_actions_and_a_bare_file_of_code_claim_nothing() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "plain", "");
        fs::write(dir.path().join("libbare.so"), "").unwrap();
        assert_eq!(said(Some(dir.path()), &[("plain", "any", "{ a = 1 }"), ("bare", "any", "{ a = 1 }")]), [""; 0]);
    }

    #[test]
    fn that_a_plugin_is_not_there_is_said_only_where_everything_could_be_read() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "lamp", LAMP);
        let calls = [("horn", "blow", "{}"), ("lamp", "dmi", "{}")];
        let both = ["there is no plugin `horn`", "plugin `lamp` has no action `dmi`"];
        assert_eq!(said(Some(dir.path()), &calls), both);
        write(dir.path(), "broken", "colour = 1\n");
        assert_eq!(said(Some(dir.path()), &calls), both[1..]);
        assert_eq!(said(Some(&dir.path().join("nowhere")), &calls), [""; 0]);
        assert_eq!(said(None, &calls[..1]), both[..1]);
    }

    #[test]
    fn the_examples_of_the_pages_of_plugins_fit_their_manifests() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut checked = 0;
        for id in ["components/http", "components/obs", "components/osc", "components/spotify", "components/system"] {
            let readme = fs::read_to_string(root.join("plugins").join(id).join("README.md")).unwrap();
            for block in readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()) {
                let Ok(mut loaded) = load_text(id, block, &|_| true) else { continue }; // a part of a mapping or of a manifest
                checked += usize::from(!loaded.calls.is_empty());
                let home = tempfile::tempdir().unwrap();
                let directory = root.join("plugins/components");
                let home = Home::at(home.path()).unwrap();
                Catalogue::compare(&home, Some(&directory), &loaded.calls, &mut loaded.warnings);
                let warnings = loaded.warnings.count(crate::mapping::config::Severity::Warning);
                assert_eq!(warnings, 0, "{id}:\n{}", loaded.warnings.render(false));
            }
        }
        assert!(checked >= 5, "{checked}");
    }
}
