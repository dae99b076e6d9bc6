//! What plugins ask the supervisor to do for them, and may.
//!
//! [`permit`] says, from the grants in force at that moment, whether a request may
//! be carried out; [`allowance`] how many. What can take long runs on threads of
//! its own, bounded in number ([`jobs`]); the pool thread only starts it and sends
//! the answer. What is done with keys, MIDI outputs and the desktop is done by
//! whoever gave [`effects::Effects`].

pub(crate) mod address;
pub mod allowance;
pub(crate) mod connect;
mod datagram;
pub mod desk;
pub mod effects;
pub mod endpoint;
mod held;
pub(crate) mod jobs;
pub mod lights;
mod midi;
mod permit;
mod program;
pub(crate) mod roots;
mod session;
pub mod timers;
mod wait;

use super::quota::Allowed;
use super::spec::PluginSpec;
use crate::plugins::data_dir::DataDirs;
use effects::Effects;
use jobs::Jobs;
pub use midi::MidiMessage;
use midimon_shared::PluginId;
use midimon_shared::host::{DataUsage, HostRefusal, HostReply, RefusalKind};
pub use permit::{Permit, Subject, describe, permit};
use roots::Roots;
pub use session::Session;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What came of a request.
#[derive(Debug)]
pub struct Outcome {
    /// The reply, or why not.
    pub result: Result<HostReply, HostRefusal>,
    /// What comes with [`HostReply::Connected`] and [`HostReply::Roots`].
    pub descriptor: Option<OwnedFd>,
}

impl From<Result<HostReply, HostRefusal>> for Outcome {
    fn from(result: Result<HostReply, HostRefusal>) -> Self {
        Self { result, descriptor: None }
    }
}

/// A refusal in words.
pub(crate) fn refusal(kind: RefusalKind, message: impl Into<String>) -> HostRefusal {
    HostRefusal { kind, message: message.into() }
}

/// Carries out what is permitted.
#[derive(Debug)]
pub struct Broker {
    effects: Option<Arc<dyn Effects>>,
    jobs: Jobs,
    roots: Roots,
    /// Where no program is run from: plugins can write there.
    data: Arc<PathBuf>,
}

impl Broker {
    /// With these effects, or refusing what needs them; `data` is where plugins' data lies.
    #[must_use]
    pub fn new(effects: Option<Arc<dyn Effects>>, data: PathBuf) -> Self {
        Self { effects, jobs: Jobs::default(), roots: Roots::default(), data: Arc::new(data) }
    }

    /// What has effects, where there are any.
    #[must_use]
    pub fn effects(&self) -> Option<&dyn Effects> {
        self.effects.as_deref()
    }

    /// Carries a request out. What needs no waiting is done when this returns; the
    /// rest calls `done` later, from another thread. Never waits itself.
    pub fn perform(
        &self,
        spec: &PluginSpec,
        permit: Permit,
        session: &Arc<Session>,
        done: impl FnOnce(Outcome) + Send + 'static,
    ) -> Option<Outcome> {
        let plugin = &spec.id;
        let session = session.clone();
        let job: Box<dyn FnOnce() -> Outcome + Send> = match permit {
            Permit::Connect { endpoint, wait } => {
                let resolvers = self.jobs.resolvers(plugin);
                Box::new(move || connect::connect(&endpoint, wait, &resolvers))
            }
            Permit::DatagramSend { endpoint, payload } => {
                if let Some(result) = datagram::send_at_once(&session, &endpoint, &payload) {
                    return Some(result.into());
                }
                let resolvers = self.jobs.resolvers(plugin);
                Box::new(move || datagram::send(&session, &endpoint, &payload, &resolvers).into())
            }
            Permit::DatagramReceive { endpoint, wait } => {
                Box::new(move || datagram::receive(&session, &endpoint, wait).into())
            }
            Permit::Run { program, arguments, wait } => {
                let data = self.data.clone();
                let running = self.jobs.program();
                Box::new(move || {
                    let _running = running;
                    program::run(&program, &arguments, wait, &session, &data).into()
                })
            }
            Permit::Usage => {
                let (data, plugin) = (self.data.clone(), plugin.clone());
                // without a directory it can keep nothing
                let allowed = spec.data_dir.is_some().then(|| Allowed::from(&spec.limits));
                Box::new(move || {
                    let usage = allowed.map_or(Ok(DataUsage::default()), |most| usage(&data, &plugin, most));
                    usage.map(HostReply::Usage).into()
                })
            }
            Permit::Roots => {
                let roots = self.roots.clone();
                Box::new(move || match roots.descriptor() {
                    Ok(descriptor) => Outcome { result: Ok(HostReply::Roots), descriptor: Some(descriptor) },
                    Err(refusal) => Err(refusal).into(),
                })
            }
            effect => return Some(self.effect(plugin, effect).into()),
        };
        match self.jobs.start(move || done(job())) {
            Ok(()) => None,
            Err(refusal) => Some(Err(refusal).into()),
        }
    }

    fn effect(&self, plugin: &PluginId, permit: Permit) -> Result<HostReply, HostRefusal> {
        let effects = self.effects().ok_or_else(no_effects)?;
        match permit {
            Permit::MidiSend { port, message } => effects.send_midi(&port, &message)?,
            Permit::Keystroke(keys) => effects.keystroke(&keys)?,
            Permit::Text(text) => effects.text(&text)?,
            Permit::Mouse(mouse) => effects.mouse(mouse)?,
            Permit::System(control) => effects.system(control)?,
            Permit::Notify { title, body } => effects.notify(plugin, &title, &body)?,
            Permit::Emit { event, value } => effects.emit(plugin, &event, &value)?,
            Permit::Mode(name) => effects.set_mode(plugin, &name)?,
            Permit::Connect { .. }
            | Permit::DatagramSend { .. }
            | Permit::DatagramReceive { .. }
            | Permit::Run { .. }
            | Permit::Light { .. }
            | Permit::TimerSet(_)
            | Permit::TimerCancel(_)
            | Permit::Usage
            | Permit::Roots => return Err(refusal(RefusalKind::Failed, "it is no effect")),
        }
        Ok(HostReply::Done)
    }

    /// The output of a device, by the device's alias.
    ///
    /// # Errors
    /// There is no such device, or it has no output of its own.
    pub fn output_of(&self, device: &str) -> Result<String, HostRefusal> {
        self.effects().ok_or_else(no_effects)?.output_of(device)
    }
}

fn no_effects() -> HostRefusal {
    refusal(RefusalKind::Failed, "it is not offered here: this program has plugins, no effects")
}

fn usage(data: &Path, plugin: &PluginId, most: Allowed) -> Result<DataUsage, HostRefusal> {
    let usage = DataDirs::open(data).and_then(|dirs| dirs.usage(plugin));
    let usage = usage.map_err(|error| refusal(RefusalKind::Failed, error.to_string()))?;
    let (used_bytes, used_files) = (usage.bytes, usage.files);
    Ok(DataUsage { used_bytes, max_bytes: most.bytes, used_files, max_files: most.files })
}
