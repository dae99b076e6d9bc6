//! What other processes can see and ask: the socket, its protocol, the status model.
//!
//! What lives here knows the daemon only as a [`Daemon`]; it must not reach
//! into workers, mapping or MIDI.

pub mod admission;
pub mod client;
mod connection;
pub mod line;
pub mod model;
pub mod protocol;
pub mod server;
#[cfg(test)]
mod tests;

use crate::monitor::Monitor;
use crate::workers::status::WorkerStatus;
use midimon_shared::PluginId;
use model::{ModeReport, PluginsReport, Ports, ReloadReport, Status};
use protocol::{ModeTarget, Params, Refusal};

/// The daemon as the control socket sees it.
///
/// Every call comes from a thread that may block, several can come at once, and
/// a slow one delays no other client.
pub trait Daemon: Send + Sync + 'static {
    /// Everything at one glance. The workers' `log_tail` may stay empty.
    fn status(&self) -> Status;

    /// One worker with its last log lines.
    ///
    /// # Errors
    /// [`protocol::ErrorCode::NotFound`] when no plugin has this id.
    fn worker(&self, id: &PluginId) -> Result<WorkerStatus, Refusal>;

    /// Restarts a worker, a quarantined one included, and waits until it is
    /// ready or has failed.
    ///
    /// # Errors
    /// [`protocol::ErrorCode::NotFound`], or why it did not become ready.
    fn restart_worker(&self, id: &PluginId) -> Result<WorkerStatus, Refusal>;

    /// Reads the configuration again; on an error the old one stays in force.
    ///
    /// # Errors
    /// [`protocol::ErrorCode::Config`] with the diagnostics as text.
    fn reload(&self) -> Result<ReloadReport, Refusal>;

    /// Takes what has changed about installed plugins, and waits until it is in effect.
    ///
    /// # Errors
    /// The daemon is stopping.
    fn plugins_changed(&self) -> Result<PluginsReport, Refusal>;

    /// Calls an action of a plugin, with a velocity where one is given, and waits for its
    /// answer, at most as long as the plugin's deadline.
    ///
    /// # Errors
    /// [`protocol::ErrorCode::NotFound`], or why there is no answer.
    fn call_plugin(
        &self,
        id: &PluginId,
        action: String,
        params: Params,
        velocity: Option<u8>,
    ) -> Result<String, Refusal>;

    /// Releases all keys and notes and silences every output.
    fn panic(&self);

    /// Begins the clean stop and returns at once.
    fn stop(&self);

    /// The mode, changed first where a target is given.
    ///
    /// # Errors
    /// [`protocol::ErrorCode::NotFound`] with the modes there are.
    fn mode(&self, target: Option<&ModeTarget>) -> Result<ModeReport, Refusal>;

    /// The MIDI ports of the machine and the replayed inputs.
    ///
    /// # Errors
    /// When the MIDI system does not answer.
    fn ports(&self) -> Result<Ports, Refusal>;

    /// Where to watch what happens.
    fn monitor(&self) -> &Monitor;
}
