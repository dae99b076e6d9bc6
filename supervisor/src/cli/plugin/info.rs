//! `plugin info`.

use super::daemon::{failed, record, workers};
use super::list::publisher_name;
use super::loosened::loosened;
use crate::cli::safe_text::safe_text;
use crate::cli::worker_view;
use crate::cli::{CliError, Context};
use crate::plugins::settings::{Owner, Settings};
use crate::plugins::store::{Installed, Store};
use crate::plugins::{GrantFile, Manifest, TrustStore};
use crate::workers::status::WorkerState;
use clap::Args;
use midimon_shared::PluginId;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(super) struct Info {
    /// The plugin's id
    name: PluginId,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    record: Installed,
    path: PathBuf,
    name: Option<String>,
    description: Option<String>,
    publisher_name: Option<String>,
    /// Why its files, its consent or its settings do not hold.
    problem: Option<String>,
    asks: Vec<Asked>,
    settings: Vec<Setting>,
    login: Option<LoginState>,
    worker: Option<WorkerState>,
    /// What the configuration gives its id beyond the defaults.
    loosened: Vec<String>,
}

/// One thing it asks for.
#[derive(Debug, Serialize)]
struct Asked {
    /// A capability, or what the user is to type.
    what: String,
    /// What holds of it: the capability itself or what was typed.
    granted: Option<String>,
    /// The plugin's own words.
    reason: String,
}

#[derive(Debug, Serialize)]
struct Setting {
    name: String,
    set: bool,
    secret: bool,
    required: bool,
    description: String,
}

/// The service the user can log in to for it.
#[derive(Debug, Serialize)]
struct LoginState {
    at: String,
    logged_in: bool,
    reason: String,
}

impl Info {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let store = Store::open(&context.home);
        let record = record(&store, &self.name)?;
        let trust = TrustStore::load(&context.home);
        let files = store.current_files(&record);
        let checked = files.and_then(|files| files.manifest().and_then(|manifest| files.check().map(|()| manifest)));
        let (manifest, mut problem) = match checked {
            Ok(manifest) => (Some(manifest), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let grants = store.grants(&self.name).map_err(failed)?;
        if let (Some(manifest), Some(grants)) = (&manifest, &grants)
            && let Err(fault) = grants.effective(manifest, record.publisher.as_ref())
        {
            problem = Some(fault.to_string());
        }
        let set = Settings::load(&context.home.settings_dir(), Owner::Installed, &self.name).map_err(failed)?;
        let setting = |spec: &crate::plugins::manifest::SettingSpec| Setting {
            name: spec.name.clone(),
            set: set.get(&spec.name).is_some(),
            secret: set.is_secret(spec),
            required: spec.required,
            description: spec.description.clone(),
        };
        let worker = workers(context)?.into_iter().find(|worker| worker.id == self.name).map(|worker| worker.state);
        let report = Report {
            path: store.path(&self.name).join(record.current.to_string()),
            name: manifest.as_ref().map(|manifest| manifest.name.clone()),
            description: manifest.as_ref().map(|manifest| manifest.description.clone()),
            publisher_name: record.publisher.map(|key| publisher_name(trust.as_ref().ok(), &key)),
            problem,
            asks: manifest.as_ref().map(|manifest| asked(manifest, grants.as_ref())).unwrap_or_default(),
            login: manifest.as_ref().and_then(|manifest| manifest.login.as_ref()).map(|login| LoginState {
                at: login.authorize_url.authority(),
                logged_in: set.get(&login.refresh_token).is_some(),
                reason: login.reason.clone(),
            }),
            settings: manifest.iter().flat_map(|manifest| manifest.settings.iter().map(setting)).collect(),
            worker,
            loosened: loosened(context, &self.name),
            record,
        };
        if self.json { context.out.json(&report) } else { context.out.print(&text(&report)) }
    }
}

fn asked(manifest: &Manifest, grants: Option<&GrantFile>) -> Vec<Asked> {
    let requests = manifest.capabilities.iter().map(|request| {
        let is_granted = grants.is_some_and(|grants| grants.granted.contains(&request.capability));
        let what = request.capability.to_string();
        Asked { granted: is_granted.then(|| what.clone()), what, reason: request.reason.clone() }
    });
    let asks = manifest.asks.iter().map(|ask| Asked {
        what: format!("{}: {}", ask.kind, ask.prompt),
        granted: grants.and_then(|grants| Some(grants.answer(ask)?.capability.as_ref()?.to_string())),
        reason: ask.reason.clone(),
    });
    requests.chain(asks).collect()
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| text.push_str(&format!("{name:<11} {}\n", safe_text(value)));
    let record = &report.record;
    line("plugin", &format!("{} {}", record.id, record.current));
    if let Some(name) = &report.name {
        line("name", name);
    }
    if let Some(description) = report.description.as_deref().filter(|text| !text.is_empty()) {
        line("says", description);
    }
    match (&record.publisher, &report.publisher_name) {
        (Some(key), Some(name)) => {
            line("publisher", name);
            line("", &format!("key {}", key.fingerprint()));
        }
        _ => line("publisher", "nobody: it is not signed"),
    }
    let state = match (record.enabled, &record.disabled_reason, report.worker) {
        (false, Some(reason), _) => format!("disabled: {reason}"),
        (false, None, _) => "disabled".to_owned(),
        (true, _, Some(state)) => worker_view::state(state).to_owned(),
        (true, _, None) => "enabled".to_owned(),
    };
    line("state", &state);
    if let Some(problem) = &report.problem {
        line("problem", problem);
    }
    for sentence in &report.loosened {
        line("note", sentence);
    }
    line("files", &report.path.to_string_lossy());
    for (index, version) in record.versions.iter().rev().enumerate() {
        let note = if version.version == record.current { "current" } else { "rollback goes here" };
        let name = if index == 0 { "versions" } else { "" };
        line(name, &format!("{} installed {} ({note})", version.version, version.installed));
    }
    for (index, asked) in report.asks.iter().enumerate() {
        let name = if index == 0 { "asks for" } else { "" };
        let granted = match &asked.granted {
            Some(granted) if *granted == asked.what => "granted".to_owned(),
            Some(granted) => format!("granted as {granted}"),
            None => "not granted".to_owned(),
        };
        line(name, &format!("{} – {granted}; it says: \"{}\"", asked.what, asked.reason));
    }
    if let Some(login) = &report.login {
        let state = match login.logged_in {
            true => "logged in".to_owned(),
            false => format!("not logged in: `midimon plugin login {}`", record.id),
        };
        line("login", &format!("{} – {state}; it says: \"{}\"", login.at, login.reason));
    }
    for (index, setting) in report.settings.iter().enumerate() {
        let name = if index == 0 { "settings" } else { "" };
        let set = match (setting.set, setting.required) {
            (true, _) => "set",
            (false, true) => "not set, and needed",
            (false, false) => "not set",
        };
        let secret = if setting.secret { ", secret" } else { "" };
        line(name, &format!("{} ({set}{secret}) {}", setting.name, setting.description));
    }
    text
}
