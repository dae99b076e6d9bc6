//! Why a manager, a plugin or a call does not work.

use crate::workers::bindings::BindError;
use crate::workers::prepare::PrepareError;
use crate::workers::ring::DropReason;
use midimon_shared::PluginId;
use midimon_shared::id::InvalidPluginId;

/// Why a manager cannot work.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ManagerError {
    #[error("cannot tell where the running program is: {0}")]
    Programs(std::io::Error),
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    #[error("cannot keep the audit log: {0}")]
    Audit(std::io::Error),
    #[error("cannot watch workers: {0}")]
    Pool(#[from] nix::errno::Errno),
    #[error(transparent)]
    Prepare(#[from] PrepareError),
}

/// Why a plugin is not ready.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum LoadError {
    #[error(transparent)]
    Id(#[from] InvalidPluginId),
    #[error("no plugin '{0}'; known: {1}")]
    Unknown(PluginId, String),
    #[error(transparent)]
    Prepare(#[from] PrepareError),
    #[error("'{0}' is disabled in the configuration")]
    Disabled(PluginId),
    #[error("{0}: {1}")]
    NotReady(PluginId, String),
}

/// Why a call brought no answer.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum CallError {
    #[error(transparent)]
    Id(#[from] InvalidPluginId),
    #[error("no plugin '{0}' is loaded")]
    NotLoaded(PluginId),
    #[error("the parameters must be an object with a text 'action'")]
    NoAction,
    #[error(transparent)]
    Bind(#[from] BindError),
    #[error("the plugin failed with code {code}{}{message}", if message.is_empty() { "" } else { ": " })]
    Failed { code: i32, message: String },
    #[error("the plugin was stopped: {0}")]
    Trapped(String),
    #[error("the call took too long and the worker was restarted")]
    TimedOut,
    #[error("the worker ended during the call")]
    Crashed,
    #[error("the call was not made: {}", .0.as_str())]
    Dropped(DropReason),
}
