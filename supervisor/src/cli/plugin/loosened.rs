//! What the configuration gives any plugin that bears an id beyond the defaults, whoever made
//! it: told when one is installed, since the package chose the id.

use crate::cli::Context;
use crate::mapping::config::{PluginSettings, load_file};
use midimon_shared::{Limits, PluginId};

/// A sentence each; none where the configuration cannot be read, under which nothing starts.
pub(super) fn loosened(context: &Context, id: &PluginId) -> Vec<String> {
    let settings = load_file(&context.home.config_file()).ok().and_then(|loaded| loaded.plugins.get(id).cloned());
    settings.map(|settings| sentences(id, &settings)).unwrap_or_default()
}

fn sentences(id: &PluginId, settings: &PluginSettings) -> Vec<String> {
    let mut sentences = Vec::new();
    if settings.allow_degraded {
        sentences.push(format!(
            "your configuration has `allow_degraded = true` for [plugins.{id}]: it runs also where a layer of the \
             sandbox is missing; remove the line unless you wrote it for this very plugin"
        ));
    }
    let raised = raised(&settings.apply(&Limits::default()), &Limits::default());
    if !raised.is_empty() {
        let raised: Vec<String> = raised.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        sentences.push(format!("your configuration raises limits of [plugins.{id}]: {}", raised.join(", ")));
    }
    sentences
}

/// The limits of resources that are above the defaults.
fn raised(wanted: &Limits, default: &Limits) -> Vec<(&'static str, u64)> {
    let limits: [(_, u64, u64); 6] = [
        ("memory_mib", wanted.memory_mib.into(), default.memory_mib.into()),
        ("quota_mib", wanted.quota_mib.into(), default.quota_mib.into()),
        ("quota_files", wanted.quota_files.into(), default.quota_files.into()),
        ("timeout_ms", wanted.timeout_ms.into(), default.timeout_ms.into()),
        ("fuel", wanted.fuel, default.fuel),
        ("cpu_percent", wanted.cpu_percent.into(), default.cpu_percent.into()),
    ];
    // of these 0 is no limit
    let size = |name, value| if value == 0 && matches!(name, "fuel" | "cpu_percent") { u64::MAX } else { value };
    let above = limits.into_iter().filter(|(name, wanted, default)| size(name, *wanted) > size(name, *default));
    above.map(|(name, value, _)| (name, value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_goes_beyond_the_defaults_is_told() {
        let id: PluginId = "obs".parse().unwrap();
        let default = Limits::default();
        let lower = PluginSettings { memory_mib: Some(default.memory_mib), timeout_ms: Some(1), ..Default::default() };
        assert_eq!(sentences(&id, &lower), Vec::<String>::new());
        let more = PluginSettings {
            allow_degraded: true,
            memory_mib: Some(default.memory_mib + 1),
            cpu_percent: Some(0),
            quota_files: Some(1),
            ..Default::default()
        };
        let told = sentences(&id, &more);
        assert!(told[0].contains("allow_degraded") && told[0].contains("[plugins.obs]"), "{told:?}");
        let raised = format!("memory_mib = {}", default.memory_mib + 1);
        assert!(told[1].contains(&raised) && told[1].contains("cpu_percent = 0"), "{told:?}");
        assert!(!told[1].contains("quota_files") && told.len() == 2, "{told:?}");
    }
}
