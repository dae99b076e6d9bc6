//! What commands that change installed plugins have in common: the lock, and the
//! word to a running daemon.

use crate::cli::safe_text::safe_text;
use crate::cli::{CliError, Context};
use crate::control::client::ClientError;
use crate::control::model::PluginsReport;
use crate::control::protocol::Request;
use crate::plugins::store::{Installed, Locked, Store, StoreError};
use crate::workers::status::WorkerStatus;
use midimon_shared::PluginId;
use std::fmt::Display;

pub(in crate::cli) fn failed(error: impl Display) -> CliError {
    CliError::Failed(error.to_string())
}

/// The store, once nobody else changes it.
pub(in crate::cli) fn lock(context: &Context) -> Result<Locked, CliError> {
    let waits = |pid: Option<i32>| {
        let who = pid.map_or(String::new(), |pid| format!(" (pid {pid})"));
        eprintln!("waiting for another midimon command that changes plugins{who} …");
    };
    let locked = Store::open(&context.home).lock(waits).map_err(failed)?;
    for left in locked.left_over() {
        eprintln!("warning: {}", safe_text(&left.to_string()));
    }
    Ok(locked)
}

/// The record of an installed plugin.
pub(super) fn record(store: &Store, id: &PluginId) -> Result<Installed, CliError> {
    store.get(id).and_then(|record| record.ok_or_else(|| StoreError::NotInstalled(id.clone()))).map_err(failed)
}

/// Tells a running daemon that plugins have changed, and waits until that is in effect;
/// `None` when none runs.
pub(in crate::cli) fn tell(context: &Context) -> Result<Option<PluginsReport>, CliError> {
    let mut client = match context.connect() {
        Ok(client) => client,
        Err(CliError::Client(ClientError::NoDaemon)) => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(Some(client.call(&Request::PluginsChanged)?))
}

/// Passes on what came of a change that stops something. Where the disk was full it stops all the
/// same, so the daemon is told before the error is.
pub(super) fn told(context: &Context, done: Result<(), StoreError>) -> Result<(), CliError> {
    match done {
        Err(error @ StoreError::NoRoom { .. }) => match tell(context) {
            Ok(_) => Err(failed(error)),
            Err(untold) => {
                Err(failed(format!("{error}; and the running daemon could not be told: {}", untold.sentence())))
            }
        },
        done => done.map_err(failed),
    }
}

/// As [`tell`]; prints `done`, and what keeps the plugin from running now.
pub(super) fn tell_and_print(context: &Context, id: &PluginId, done: &str) -> Result<(), CliError> {
    let report = tell(context)?;
    context.out.line(done)?;
    let Some(report) = report else {
        return context.out.line("no daemon runs; it counts when one is started");
    };
    if let Some(not_yet) = report.not_yet {
        context.out.line(&not_yet.to_string())?;
    }
    let about = format!("plugin {id}:");
    for problem in report.problems.iter().filter(|problem| problem.starts_with(&about)) {
        context.out.line(&safe_text(problem))?;
    }
    Ok(())
}

/// The workers of a running daemon; none when no daemon runs.
pub(super) fn workers(context: &Context) -> Result<Vec<WorkerStatus>, CliError> {
    match context.connect() {
        Ok(mut client) => Ok(client.call(&Request::WorkerList)?),
        Err(CliError::Client(ClientError::NoDaemon)) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
