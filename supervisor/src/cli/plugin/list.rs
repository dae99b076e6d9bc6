//! `plugin list`.

use super::daemon::{failed, workers};
use crate::cli::output::{Colour, Look};
use crate::cli::table::{Cell, Side, Table};
use crate::cli::worker_view;
use crate::cli::{CliError, Context};
use crate::mapping::config::{PluginSettings, load_file};
use crate::plugins::TrustStore;
use crate::plugins::discover::BadPlugin;
use crate::plugins::minisign::PublicKey;
use crate::plugins::store::{BadRecord, Installed, Store};
use crate::plugins::trust::Standing;
use crate::workers::status::{Origin, WorkerState, WorkerStatus};
use clap::Args;
use midimon_shared::PluginId;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Args)]
pub(super) struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One plugin.
#[derive(Clone, Debug, Serialize)]
struct Row {
    id: PluginId,
    origin: Origin,
    version: Option<String>,
    publisher: Option<String>,
    enabled: bool,
    /// Why it is disabled, cannot be started or does not run well.
    reason: Option<String>,
    /// What its worker is at; nothing where none runs.
    worker: Option<WorkerState>,
}

impl List {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let workers = workers(context)?;
        let trust = TrustStore::load(&context.home);
        let state = |id: &PluginId, origin: Origin| {
            workers.iter().find(|worker| worker.id == *id && worker.origin == origin).map(|worker| worker.state)
        };
        let store = Store::open(&context.home);
        let bad = store.discover().map_err(failed)?.bad;
        let configured = load_file(&context.home.config_file()).map(|loaded| loaded.plugins).unwrap_or_default();
        let why = |record: &Installed| {
            let worker = workers.iter().find(|worker| worker.id == record.id);
            match worker {
                Some(worker) if worker.origin == Origin::Installed => worker.reason.clone(),
                Some(_) => Some("the one in [plugins] dir has its id, and is used".to_owned()),
                None => problem(&store, record, &bad, &configured),
            }
        };
        let row = |record: Result<Installed, BadRecord>| match record {
            Ok(record) => {
                let reason = record.disabled_reason.clone().or_else(|| why(&record).filter(|_| record.enabled));
                Row {
                    origin: Origin::Installed,
                    version: Some(record.current.to_string()),
                    publisher: record.publisher.map(|key| publisher_name(trust.as_ref().ok(), &key)),
                    enabled: record.enabled,
                    reason,
                    worker: state(&record.id, Origin::Installed),
                    id: record.id,
                }
            }
            Err(BadRecord { id, cause }) => Row {
                origin: Origin::Installed,
                version: None,
                publisher: None,
                enabled: false,
                reason: Some(cause.to_string()),
                worker: None,
                id,
            },
        };
        let mut rows: Vec<Row> = store.list().map_err(failed)?.into_iter().map(row).collect();
        rows.extend(workers.iter().filter(|worker| worker.origin == Origin::Dev).map(in_development));
        rows.sort_by(|a, b| a.id.cmp(&b.id));
        if self.json { context.out.json(&rows) } else { context.out.print(&text(&rows, &context.out.look)) }
    }
}

/// What keeps an enabled plugin from being started: its files, the user's word, its settings or
/// the configuration.
fn problem(
    store: &Store,
    record: &Installed,
    bad: &[BadPlugin],
    configured: &BTreeMap<PluginId, PluginSettings>,
) -> Option<String> {
    if let Some(found) = bad.iter().find(|found| found.id.as_ref() == Some(&record.id)) {
        return Some(found.cause.to_string());
    }
    if configured.get(&record.id).is_some_and(|settings| settings.enabled == Some(false)) {
        return Some(format!("your configuration has `enabled = false` in [plugins.{}]", record.id));
    }
    store.current_files(record).and_then(|files| files.check()).err().map(|error| error.to_string())
}

fn in_development(worker: &WorkerStatus) -> Row {
    Row {
        id: worker.id.clone(),
        origin: Origin::Dev,
        version: Some(worker.version.clone()),
        publisher: None,
        enabled: true,
        reason: None,
        worker: Some(worker.state),
    }
}

/// The name a key is pinned to, else its fingerprint.
pub(super) fn publisher_name(trust: Option<&TrustStore>, key: &PublicKey) -> String {
    match trust.map_or(Standing::Unknown, |trust| trust.standing(key)) {
        Standing::Trusted(entry) => entry.name.to_string(),
        Standing::Revoked(entry) => format!("{} (revoked)", entry.name),
        Standing::Unknown => format!("key {}", key.fingerprint()),
    }
}

fn text(rows: &[Row], look: &Look) -> String {
    if rows.is_empty() {
        return "no plugin is installed; `midimon plugin install FILE` installs one\n".to_owned();
    }
    let columns = ["PLUGIN", "VERSION", "PUBLISHER", "STATE", "NOTE"];
    let mut table = Table::new(&columns.map(|column| (column, Side::Left)));
    for row in rows {
        let state = match (row.worker, row.enabled) {
            (Some(state), _) => Cell::new(worker_view::state(state), worker_view::colour(state)),
            (None, true) if row.reason.is_some() => Cell::new("cannot run", Colour::Bad),
            (None, true) => Cell::from("-"),
            (None, false) => Cell::new("disabled", Colour::Faint),
        };
        let publisher = match (&row.publisher, row.origin) {
            (Some(publisher), _) => Cell::from(publisher),
            (None, Origin::Dev) => Cell::new("in development", Colour::Faint),
            (None, Origin::Installed) => Cell::new("unsigned", Colour::Notice),
        };
        table.row(vec![
            Cell::from(row.id.as_str()),
            Cell::from(row.version.as_deref().unwrap_or("-")),
            publisher,
            state,
            // a file with many mistakes has a line for each
            Cell::from(row.reason.as_deref().and_then(|reason| reason.lines().next()).unwrap_or_default()),
        ]);
    }
    table.render(look)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_says_who_made_each_plugin_and_why_it_does_not_run() {
        let row = |id: &str| Row {
            id: id.parse().unwrap(),
            origin: Origin::Installed,
            version: Some("1.0.0".into()),
            publisher: None,
            enabled: true,
            reason: None,
            worker: None,
        };
        let rows = [
            Row { publisher: Some("A. Player".into()), worker: Some(WorkerState::Ready), ..row("notes") },
            Row { enabled: false, reason: Some("its key\u{1b}[2J was revoked".into()), ..row("obs") },
            Row {
                reason: Some("grants/oops.toml:3:1: a mistake\ngrants/oops.toml:4:1: another".into()),
                ..row("oops")
            },
            Row { origin: Origin::Dev, worker: Some(WorkerState::Busy), ..row("pads") },
        ];
        let expected = "\
PLUGIN  VERSION  PUBLISHER       STATE       NOTE
notes   1.0.0    A. Player       ready
obs     1.0.0    unsigned        disabled    its key\\u{1b}[2J was revoked
oops    1.0.0    unsigned        cannot run  grants/oops.toml:3:1: a mistake
pads    1.0.0    in development  busy
";
        let shown: String =
            text(&rows, &Look::plain(100)).lines().map(|line| line.trim_end().to_owned() + "\n").collect();
        assert_eq!(shown, expected);
    }
}
