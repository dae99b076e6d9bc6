//! What `status` and its relatives say, for people and programs.

use crate::midi::ports::{InputPort, OutputPort, PortList};
use crate::workers::status::WorkerStatus;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;

/// The whole daemon at one glance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The daemon's version.
    pub version: String,
    /// Its process id.
    pub pid: i32,
    /// Seconds since it started.
    pub uptime_s: u64,
    /// The directory its files lie in (the data directory where they are spread).
    pub home: PathBuf,
    /// The configuration in force, and whether the last reload worked.
    pub config: ConfigStatus,
    /// The mode it is in; `None` without a configuration.
    pub mode: Option<String>,
    /// Where messages come from.
    pub inputs: Vec<PortStatus>,
    /// Where messages go.
    pub outputs: Vec<PortStatus>,
    /// What the engine did.
    pub engine: EngineCounts,
    /// Events that watchers had no room for.
    pub missed_events: u64,
    /// What keeps something from working, a sentence each: plugins that cannot
    /// be loaded, inputs that cannot be opened.
    pub problems: Vec<String>,
    /// Whether it was started to start no plugin.
    #[serde(default)]
    pub safe_mode: bool,
    /// Every plugin, by id; `log_tail` is empty here.
    pub workers: Vec<WorkerStatus>,
}

/// The configuration in force.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ConfigStatus {
    /// Its file.
    pub path: PathBuf,
    /// How the last attempt to read it went.
    pub state: ConfigState,
    /// Modes it has.
    pub modes: usize,
    /// Mappings it has, the global ones included.
    pub mappings: usize,
}

/// How the last attempt to read the configuration went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "kebab-case")]
pub enum ConfigState {
    /// What the file says is in force.
    Ok,
    /// The file has errors; what was in force before still is.
    Failed {
        /// When that was, in milliseconds since the Unix epoch.
        since_unix_ms: u64,
        /// What is wrong, as `midimon check` prints it.
        diagnostics: String,
    },
}

/// One MIDI input or output in use, or waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortStatus {
    /// The device's alias where the configuration gives one, else the port's name.
    pub name: String,
    /// Whether it is there now.
    pub connected: bool,
    /// Messages received from it or sent to it.
    pub messages: u64,
    /// What else there is to say: why it is not connected, that a replay has ended.
    pub note: Option<String>,
}

/// What the engine did since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineCounts {
    /// Messages that came in.
    pub messages: u64,
    /// Mappings that fired.
    pub hits: u64,
    /// Effects on the outside world that worked.
    pub effects: u64,
    /// Effects that did not.
    pub effects_failed: u64,
    /// Mappings that did not fire since too many delays were waiting.
    pub refused_delays: u64,
}

/// What a reload brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    /// The file read.
    pub path: PathBuf,
    /// Modes it has.
    pub modes: usize,
    /// Mappings it has.
    pub mappings: usize,
    /// Things worth a look that are no errors, as `midimon check` prints them.
    pub warnings: Option<String>,
    /// Plugins that are not there yet, or cannot be, a sentence each.
    pub plugins: Vec<String>,
}

/// Why a change of installed plugins is not wholly in effect. As text: a sentence for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotYet {
    /// A worker that was told to end has not.
    Stopping,
    /// What is to go has gone; what is to start waits for a compilation.
    Compiling,
    /// What is to go has gone; nothing is started by a configuration with mistakes.
    Configuration,
    /// The store cannot be read, and no installed plugin runs.
    Store,
}

impl fmt::Display for NotYet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Stopping => "a worker that was told to end still runs; `midimon status` shows it",
            Self::Compiling => "the daemon is still compiling a plugin; `midimon status` says when that is over",
            Self::Configuration => {
                "the configuration has mistakes, and no plugin is started until they are corrected: `midimon check` \
                 shows them"
            }
            Self::Store => "the daemon cannot read what is installed, and starts none of it; `midimon status` says why",
        })
    }
}

/// What came of a change of installed plugins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginsReport {
    /// Why it is not wholly in effect; `None` when it is.
    pub not_yet: Option<NotYet>,
    /// Plugins that are not there yet, or cannot be, a sentence each.
    pub problems: Vec<String>,
}

/// The mode, and those there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModeReport {
    /// The mode in force.
    pub mode: String,
    /// All of them, in the order of the configuration.
    pub modes: Vec<String>,
}

/// The machine's MIDI ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    /// What messages can come from.
    pub inputs: Vec<Port>,
    /// What messages can go to.
    pub outputs: Vec<Port>,
    /// Why the configuration's choice of inputs cannot be met, or not completely.
    pub problem: Option<String>,
}

/// One MIDI port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Its name, as the configuration may write it.
    pub name: String,
    /// ALSA's `client:port`, given anew at every plug-in.
    pub address: String,
    /// Whether an input is, or would be, listened to; `None` for outputs.
    pub used: Option<bool>,
    /// Why, or why not; empty for outputs.
    pub why: String,
}

impl From<PortList> for Ports {
    fn from(list: PortList) -> Self {
        let input = |port: InputPort| Port {
            name: port.name,
            address: port.address,
            used: Some(port.used),
            why: port.why.to_owned(),
        };
        let output = |port: OutputPort| Port { name: port.name, address: port.address, used: None, why: String::new() };
        Self {
            inputs: list.inputs.into_iter().map(input).collect(),
            outputs: list.outputs.into_iter().map(output).collect(),
            problem: list.problem,
        }
    }
}
