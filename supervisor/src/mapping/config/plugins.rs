//! `[plugins] dir = "…"` and `[plugins.ID]`: the user's say about each plugin.

use super::codes::Code;
use super::diagnostic::Diagnostic;
use super::text::quoted;
use super::walker::{Field, Span, Table, closest};
use midimon_shared::limits::{InstanceMode, RestartPolicy};
use midimon_shared::{Capability, Limits, PluginId};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use toml::de::DeValue;

/// What the user says about one plugin; `None` where they say nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PluginSettings {
    /// Whether it runs at all.
    pub enabled: Option<bool>,
    /// What happens when its worker ends unasked.
    pub restart: Option<RestartPolicy>,
    /// Seconds without a crash after which its crash history is forgotten.
    pub healthy_after_s: Option<u32>,
    /// First back-off before a restart, in milliseconds.
    pub backoff_min_ms: Option<u32>,
    /// Longest back-off before a restart, in milliseconds.
    pub backoff_max_ms: Option<u32>,
    /// More crashes than this within the window quarantine the plugin.
    pub crash_limit: Option<u32>,
    /// The window in which crashes are counted, in seconds.
    pub crash_window_s: Option<u32>,
    /// Memory in MiB.
    pub memory_mib: Option<u32>,
    /// Fuel for each WASM call; 0 is no limit.
    pub fuel: Option<u64>,
    /// Deadline of one call, in milliseconds.
    pub timeout_ms: Option<u32>,
    /// Most unacknowledged triggers.
    pub queue_depth: Option<u32>,
    /// Oldest trigger the worker still takes, in milliseconds.
    pub max_age_ms: Option<u32>,
    /// Data directory: bytes, in MiB.
    pub quota_mib: Option<u32>,
    /// Data directory: files.
    pub quota_files: Option<u32>,
    /// Processor time over the window, in percent of one core; 0 is no limit.
    pub cpu_percent: Option<u32>,
    /// That window, in seconds.
    pub cpu_window_s: Option<u32>,
    /// Whether WASM state lives between calls.
    pub instance: Option<InstanceMode>,
    /// What a plugin of `[plugins] dir` may do.
    pub grants: Vec<Capability>,
    /// Whether it may run where this system lacks a layer of the sandbox.
    pub allow_degraded: bool,
}

impl PluginSettings {
    /// These limits with the user's own in their place; what a plugin wishes in
    /// its manifest can then only lower them.
    #[must_use]
    pub fn apply(&self, limits: &Limits) -> Limits {
        Limits {
            restart: self.restart.unwrap_or(limits.restart),
            healthy_after_s: self.healthy_after_s.unwrap_or(limits.healthy_after_s),
            backoff_min_ms: self.backoff_min_ms.unwrap_or(limits.backoff_min_ms),
            backoff_max_ms: self.backoff_max_ms.unwrap_or(limits.backoff_max_ms),
            crash_limit: self.crash_limit.unwrap_or(limits.crash_limit),
            crash_window_s: self.crash_window_s.unwrap_or(limits.crash_window_s),
            memory_mib: self.memory_mib.unwrap_or(limits.memory_mib),
            fuel: self.fuel.unwrap_or(limits.fuel),
            timeout_ms: self.timeout_ms.unwrap_or(limits.timeout_ms),
            queue_depth: self.queue_depth.unwrap_or(limits.queue_depth),
            max_age_ms: self.max_age_ms.unwrap_or(limits.max_age_ms),
            quota_mib: self.quota_mib.unwrap_or(limits.quota_mib),
            quota_files: self.quota_files.unwrap_or(limits.quota_files),
            cpu_percent: self.cpu_percent.unwrap_or(limits.cpu_percent),
            cpu_window_s: self.cpu_window_s.unwrap_or(limits.cpu_window_s),
            instance: self.instance.unwrap_or(limits.instance),
        }
    }
}

/// `[plugins]` whole: its directory as written, and each plugin's settings.
pub(super) fn plugins(field: Field<'_>) -> (Option<String>, BTreeMap<PluginId, PluginSettings>) {
    let mut all = BTreeMap::new();
    let Some(mut table) = field.table("[plugins]") else {
        return (None, all);
    };
    let dir = table.take("dir").text(4096).map(str::to_owned);
    let mut seen: HashMap<String, Span> = HashMap::new();
    for (key, value) in table.others() {
        let name: &str = key.get_ref();
        let DeValue::Table(_) = value.get_ref() else {
            let error =
                Diagnostic::error(Code::UnknownKey, key.span(), format!("[plugins] has no key {}", quoted(name)));
            table.context.report(match closest(name, ["dir"].into_iter()) {
                Some(known) => error.suggest(key.span(), known),
                None => error.help("a plugin's settings are a table, `[plugins.ID]`; the only other key is `dir`"),
            });
            continue;
        };
        let id = match name.parse::<PluginId>() {
            Ok(id) => id,
            Err(error) => {
                table.context.error(Code::BadPluginId, key.span(), error.to_string());
                continue;
            }
        };
        if let Some(earlier) = seen.insert(id.uniqueness_key(), key.span()) {
            let error = Diagnostic::error(Code::DuplicateName, key.span(), format!("the plugin `{id}` is here twice"));
            table.context.report(error.related(earlier, "here already").help("`-` and `_` are the same in ids"));
        }
        if let Some(settings) = table.other(value, "a [plugins.ID] table").map(settings) {
            all.insert(id, settings);
        }
    }
    (dir, all)
}

fn settings(mut table: Table<'_>) -> PluginSettings {
    let mut number = |key, range: RangeInclusive<i64>| table.take(key).number::<u32>(range);
    let mut settings = PluginSettings {
        healthy_after_s: number("healthy_after_s", 1..=86_400),
        backoff_min_ms: number("backoff_min_ms", 1..=600_000),
        backoff_max_ms: number("backoff_max_ms", 1..=3_600_000),
        crash_limit: number("crash_limit", 0..=1_000_000),
        crash_window_s: number("crash_window_s", 1..=86_400),
        memory_mib: number("memory_mib", 1..=65_536),
        timeout_ms: number("timeout_ms", 1..=600_000),
        queue_depth: number("queue_depth", 1..=4096),
        max_age_ms: number("max_age_ms", 1..=600_000),
        quota_mib: number("quota_mib", 0..=1_048_576),
        quota_files: number("quota_files", 0..=10_000_000),
        cpu_percent: number("cpu_percent", 0..=100_000),
        cpu_window_s: number("cpu_window_s", 10..=86_400),
        ..PluginSettings::default()
    };
    settings.enabled = table.take("enabled").boolean();
    settings.fuel = table.take("fuel").number::<u64>(0..=i64::MAX);
    settings.restart =
        table.take("restart").choice(&[("on-failure", RestartPolicy::OnFailure), ("never", RestartPolicy::Never)]);
    settings.instance =
        table.take("instance").choice(&[("persistent", InstanceMode::Persistent), ("per-call", InstanceMode::PerCall)]);
    settings.allow_degraded = table.take("allow_degraded").boolean().unwrap_or_default();
    settings.grants = grants(table.take("grants"));
    if let (Some(min), Some(max)) = (settings.backoff_min_ms, settings.backoff_max_ms)
        && min > max
    {
        let place = table.take("backoff_min_ms");
        place.error(Code::BadRange, format!("`backoff_min_ms` is {min}, more than `backoff_max_ms`, {max}"));
    }
    table.finish();
    settings
}

fn grants(field: Field<'_>) -> Vec<Capability> {
    if !field.is_present() {
        return Vec::new();
    }
    let one = |element: Field<'_>| match element.clone().text(512)?.parse() {
        Ok(capability) => Some(capability),
        Err(error) => {
            let error: midimon_shared::capability::InvalidCapability = error;
            element.error(Code::BadGrant, error.to_string());
            None
        }
    };
    field.elements().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_says_counts_and_the_rest_stays() {
        let user = PluginSettings {
            memory_mib: Some(500),
            timeout_ms: Some(50),
            fuel: Some(0),
            queue_depth: Some(4096),
            crash_limit: Some(1000),
            restart: Some(RestartPolicy::Never),
            ..PluginSettings::default()
        };
        let applied = user.apply(&Limits::default());
        assert_eq!((applied.memory_mib, applied.timeout_ms, applied.fuel), (500, 50, 0));
        assert_eq!((applied.queue_depth, applied.crash_limit, applied.restart), (4096, 1000, RestartPolicy::Never));
        assert_eq!(PluginSettings::default().apply(&applied), applied);
    }
}
