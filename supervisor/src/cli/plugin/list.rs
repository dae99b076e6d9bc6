//! `plugin list`.

use super::daemon::{failed, workers};
use crate::cli::output::{Colour, Look};
use crate::cli::table::{Cell, Side, Table};
use crate::cli::worker_view;
use crate::cli::{CliError, Context};
use crate::plugins::TrustStore;
use crate::plugins::minisign::PublicKey;
use crate::plugins::store::Store;
use crate::plugins::trust::Standing;
use crate::workers::status::{Origin, WorkerState, WorkerStatus};
use clap::Args;
use midimon_shared::PluginId;
use serde::Serialize;

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
    /// Why it is disabled or cannot be used.
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
        let row = |record| match record {
            Ok(crate::plugins::store::Installed { id, publisher, enabled, disabled_reason, current, .. }) => Row {
                origin: Origin::Installed,
                version: Some(current.to_string()),
                publisher: publisher.map(|key| publisher_name(trust.as_ref().ok(), &key)),
                enabled,
                reason: disabled_reason,
                worker: state(&id, Origin::Installed),
                id,
            },
            Err(crate::plugins::store::BadRecord { id, cause }) => Row {
                origin: Origin::Installed,
                version: None,
                publisher: None,
                enabled: false,
                reason: Some(cause.to_string()),
                worker: None,
                id,
            },
        };
        let mut rows: Vec<Row> = Store::open(&context.home).list().map_err(failed)?.into_iter().map(row).collect();
        rows.extend(workers.iter().filter(|worker| worker.origin == Origin::Dev).map(in_development));
        rows.sort_by(|a, b| a.id.cmp(&b.id));
        if self.json { context.out.json(&rows) } else { context.out.print(&text(&rows, &context.out.look)) }
    }
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
            Cell::from(row.reason.as_deref().unwrap_or_default()),
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
            Row { origin: Origin::Dev, worker: Some(WorkerState::Busy), ..row("pads") },
        ];
        let expected = "\
PLUGIN  VERSION  PUBLISHER       STATE     NOTE
notes   1.0.0    A. Player       ready
obs     1.0.0    unsigned        disabled  its key\\u{1b}[2J was revoked
pads    1.0.0    in development  busy
";
        let shown: String =
            text(&rows, &Look::plain(100)).lines().map(|line| line.trim_end().to_owned() + "\n").collect();
        assert_eq!(shown, expected);
    }
}
