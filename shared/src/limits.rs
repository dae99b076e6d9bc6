//! Sizes both sides enforce, and the limits one plugin runs under.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

/// Largest frame body on a worker pipe, in bytes.
pub const MAX_FRAME: usize = 64 * 1024;

/// Largest trigger frame with its length prefix, in bytes: small enough that a
/// pipe write is all or nothing (`PIPE_BUF` is 4096) and one cache line long.
pub const MAX_TRIGGER_FRAME: usize = 64;

/// Largest parameter table of one binding as JSON, in bytes (sent in parts).
pub const MAX_PARAMS: usize = 256 * 1024;

/// Bytes of parameters or names that one part of a message carries at most.
pub const MAX_PART: usize = 32 * 1024;

/// Most bindings one worker can hold.
pub const MAX_BINDINGS: u32 = 65_536;

/// Longest answer or error text a plugin can give for one call, in bytes.
pub const MAX_ANSWER: usize = 4 * 1024;

/// Largest code a plugin can bring, in bytes.
pub const MAX_CODE: u64 = 256 * 1024 * 1024;

/// What happens when a worker ends unasked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartPolicy {
    /// Restart after a crash or an unasked exit, 0 included.
    #[default]
    OnFailure,
    /// Leave it ended.
    Never,
}

/// Whether a WASM plugin keeps its state between calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceMode {
    /// One instance serves every call, until it traps or leaks.
    #[default]
    Persistent,
    /// A fresh instance for each call.
    PerCall,
}

/// The limits one plugin runs under: the defaults here, lowered by what its
/// manifest wishes and by what the user says in `[plugins.ID]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// What happens when its worker ends unasked.
    pub restart: RestartPolicy,
    /// Seconds without a crash after which its crash history is forgotten.
    pub healthy_after_s: u32,
    /// First back-off before a restart, in milliseconds.
    pub backoff_min_ms: u32,
    /// Longest back-off before a restart, in milliseconds.
    pub backoff_max_ms: u32,
    /// More crashes than this within the window quarantine the plugin.
    pub crash_limit: u32,
    /// The window in which crashes are counted, in seconds.
    pub crash_window_s: u32,
    /// Memory: all linear memories together for WASM, RLIMIT_DATA for native code. MiB.
    pub memory_mib: u32,
    /// Fuel for each WASM call (about one unit an instruction); 0 is no limit.
    pub fuel: u64,
    /// Deadline of one call, in milliseconds.
    pub timeout_ms: u32,
    /// Most unacknowledged triggers; one more is dropped and counted.
    pub queue_depth: u32,
    /// A trigger older than this when the worker reads it is dropped and counted. Milliseconds.
    pub max_age_ms: u32,
    /// Data directory: bytes, in MiB.
    pub quota_mib: u32,
    /// Data directory: files.
    pub quota_files: u32,
    /// Processor time over the window, in percent of one core; 0 is no limit.
    pub cpu_percent: u32,
    /// That window, in seconds.
    pub cpu_window_s: u32,
    /// Whether WASM state lives between calls.
    pub instance: InstanceMode,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            restart: RestartPolicy::OnFailure,
            healthy_after_s: 60,
            backoff_min_ms: 50,
            backoff_max_ms: 30_000,
            crash_limit: 5,
            crash_window_s: 60,
            memory_mib: 128,
            fuel: 100_000_000,
            timeout_ms: 5_000,
            queue_depth: 32,
            max_age_ms: 250,
            quota_mib: 64,
            quota_files: 4_096,
            cpu_percent: 50,
            cpu_window_s: 60,
            instance: InstanceMode::Persistent,
        }
    }
}

/// The limits a worker enforces inside itself, as sent with its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct WorkerLimits {
    /// All linear memories together, in bytes.
    pub memory_bytes: u64,
    /// Elements of all tables together.
    pub table_elements: u32,
    /// Fuel for each call; 0 is no limit.
    pub fuel: u64,
    /// Default deadline of one call, in milliseconds.
    pub timeout_ms: u32,
    /// A trigger older than this on reading is answered with `Dropped`. Milliseconds.
    pub max_age_ms: u32,
    /// Whether WASM state lives between calls.
    pub instance: InstanceMode,
}

impl From<&Limits> for WorkerLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            memory_bytes: u64::from(limits.memory_mib) * 1024 * 1024,
            table_elements: 10_000,
            fuel: limits.fuel,
            timeout_ms: limits.timeout_ms,
            max_age_ms: limits.max_age_ms,
            instance: limits.instance,
        }
    }
}
