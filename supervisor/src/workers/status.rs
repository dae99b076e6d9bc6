//! What can be said about a worker, for people and programs.

use super::broker::allowance::{RequestCounts, ServiceCounts};
use midimon_shared::sandbox::{LayerReport, SandboxLevel};
use midimon_shared::{Limits, PluginId};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What a plugin's code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PluginKind {
    /// A shared library.
    Native,
    /// A WASM core module of the MIDIMon 2.x ABI.
    Wasm,
}

/// Where a plugin comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// `[plugins] dir`, for development.
    Dev,
    /// Installed from a package.
    Installed,
}

impl Origin {
    /// Whether its author may have forbidden system calls reported instead of ending it.
    #[must_use]
    pub const fn may_report_only(self) -> bool {
        match self {
            Self::Dev => true,
            Self::Installed => false,
        }
    }
}

/// Where a worker stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum WorkerState {
    Starting,
    Sandboxed,
    Ready,
    Busy,
    Stopping,
    Stopped,
    Backoff,
    Quarantined,
    Failed,
    Disabled,
}

impl WorkerState {
    /// As in listings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Sandboxed => "sandboxed",
            Self::Ready => "ready",
            Self::Busy => "busy",
            Self::Stopping => "stopping",
            Self::Stopped => "stopped",
            Self::Backoff => "backoff",
            Self::Quarantined => "quarantined",
            Self::Failed => "failed",
            Self::Disabled => "disabled",
        }
    }
}

impl std::fmt::Display for WorkerState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// Where triggers went. At every moment
/// `received = done + failed + timed_out + dropped.* + in_flight`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallCounts {
    /// Triggers taken in.
    pub received: u64,
    /// Answered well.
    pub done: u64,
    /// Answered with an error, trapped, or lost in a crash.
    pub failed: u64,
    /// Past their deadline.
    pub timed_out: u64,
    /// Not made, by reason.
    pub dropped: DropCounts,
    /// Waiting or under way.
    pub in_flight: u64,
}

/// Why triggers were not made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropCounts {
    /// `queue_depth` triggers were unacknowledged already.
    pub queue_full: u64,
    /// Older than `max_age_ms` when the worker, or a restarted one, could take them.
    pub too_old: u64,
    /// The worker was stopped, quarantined, disabled or failed.
    pub not_running: u64,
    /// A reload took their mapping away before they were sent.
    pub config_changed: u64,
}

impl DropCounts {
    /// All of them.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.queue_full + self.too_old + self.not_running + self.config_changed
    }
}

/// Times from the trigger's arrival to its answer, in microseconds; 0 before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct LatencySummary {
    pub p50_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
}

/// Everything `status` and `worker inspect` show about one plugin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// The plugin's id.
    pub id: PluginId,
    /// Its own name, version and description, made safe to show.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What its code is.
    pub kind: PluginKind,
    /// Where it comes from.
    pub origin: Origin,
    /// Where it stands.
    pub state: WorkerState,
    /// Why, when it failed, waits or is quarantined.
    pub reason: Option<String>,
    /// The worker's process id.
    pub pid: Option<i32>,
    /// Seconds since it became ready.
    pub uptime_s: Option<u64>,
    /// Restarts since the daemon started.
    pub restarts: u64,
    /// What ended it last.
    pub last_end: Option<String>,
    /// Where its triggers went.
    pub calls: CallCounts,
    /// How long answers took.
    pub latency: LatencySummary,
    /// Private resident memory (RssAnon) in KiB.
    pub memory_kib: Option<u64>,
    /// Processor time this process has used, in milliseconds, when last looked at.
    pub cpu_ms: Option<u64>,
    /// What it takes too much of, while it is not stopped for it.
    pub warning: Option<String>,
    /// Its data directory.
    pub data_dir: Option<PathBuf>,
    /// Bytes in the data directory.
    pub data_bytes: u64,
    /// Its sandbox in one word; `none` without a process.
    pub sandbox: SandboxLevel,
    /// Its sandbox layer by layer; empty without a process.
    pub layers: Vec<LayerReport>,
    /// It may run without a layer that this system lacks.
    pub allow_degraded: bool,
    /// Forbidden system calls are reported and fail, instead of ending it.
    pub report_only: bool,
    /// Forbidden system calls and breaches of the protocol since the daemon started.
    pub violations: u64,
    /// The last of them.
    pub last_violation: Option<String>,
    /// Files in the data directory, and everything else that has a name.
    #[serde(default)]
    pub data_files: u64,
    /// The limits in force.
    pub limits: Limits,
    /// Log lines it wrote too fast to be kept, since the daemon started.
    pub log_dropped: u64,
    /// Bytes it wrote there so fast that they were not even looked at.
    #[serde(default)]
    pub log_dropped_bytes: u64,
    /// What it may do, as the configuration writes it.
    #[serde(default)]
    pub grants: Vec<String>,
    /// What it asks for and may not do.
    #[serde(default)]
    pub not_granted: Vec<String>,
    /// What became of its requests to the supervisor.
    #[serde(default)]
    pub requests: RequestCounts,
    /// What came of its events, lights and timers.
    #[serde(default)]
    pub services: ServiceCounts,
    /// Its last log lines, newest last.
    pub log_tail: Vec<String>,
}
