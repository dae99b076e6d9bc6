//! `worker list`, `worker inspect`, `worker restart`.

use super::output::Look;
use super::safe_text::safe_text;
use super::{CliError, Context, worker_view};
use crate::control::protocol::Request;
use crate::workers::status::{WorkerState, WorkerStatus};
use clap::{Args, Subcommand};
use midimon_shared::PluginId;

/// `midimon worker`
#[derive(Debug, Args)]
pub struct Worker {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List every plugin's worker
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show everything about one worker: limits in force and last log lines included
    Inspect {
        /// The plugin's id
        name: PluginId,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Restart a worker; lifts a quarantine
    Restart {
        /// The plugin's id
        name: PluginId,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

impl Worker {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let mut client = context.connect()?;
        let (out, look) = (&context.out, &context.out.look);
        match self.command {
            Command::List { json } => {
                let workers: Vec<WorkerStatus> = client.call(&Request::WorkerList)?;
                if json { out.json(&workers) } else { out.print(&worker_view::table(&workers, look)) }
            }
            Command::Inspect { name, json } => {
                let worker: WorkerStatus = client.call(&Request::WorkerInspect { id: name })?;
                if json { out.json(&worker) } else { out.print(&worker_view::inspect(&worker, look)) }
            }
            Command::Restart { name, json } => {
                let worker: WorkerStatus = client.call(&Request::WorkerRestart { id: name })?;
                if json {
                    out.json(&worker)?
                } else {
                    out.line(&restarted(&worker, look))?
                }
                match worker.state {
                    WorkerState::Failed | WorkerState::Quarantined => Err(CliError::Reported),
                    _ => Ok(()),
                }
            }
        }
    }
}

fn restarted(worker: &WorkerStatus, look: &Look) -> String {
    let state = look.paint(worker_view::colour(worker.state), worker_view::state(worker.state));
    let pid = worker.pid.map_or(String::new(), |pid| format!(", pid {pid}"));
    let reason = worker.reason.as_ref().map_or(String::new(), |reason| format!(": {}", safe_text(reason)));
    format!("{}: {state}{pid}{reason}", worker.id)
}
