//! The thread that watches the data directories of running workers: records
//! what happens to their files, and holds them to their quotas.
//!
//! What it decides comes from the pure [`quota`](super::quota); [`tree`] knows
//! what changed. A quiet directory costs nothing. A busy one is looked at every
//! 10 ms or sooner, however many events it makes: they wait in the kernel.

mod tree;

pub use tree::{DataTree, WatchError};

use super::cause::{EndCause, KillReason};
use super::pool::{Request, Requests, Token};
use super::quota::{Allowed, Count, Decision, Quota, with_fix};
use crate::audit::{Audit, AuditEvent};
use crate::clock::{self, Time};
use crate::plugins::data_dir::Usage;
use crate::sys::pidfd::PidFd;
use crate::sys::rlimit::set_file_limit;
use midimon_shared::{Limits, PluginId};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::Signal;
use nix::sys::time::TimeSpec;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Counts and watches a plugin's data directory, where it has one, before its process is started.
///
/// # Errors
/// What to say instead of starting it.
pub(super) fn prepare(
    plugin: &PluginId,
    dir: Option<&Path>,
    limits: &Limits,
) -> Result<Option<Box<(DataTree, Usage)>>, EndCause> {
    let Some(dir) = dir else { return Ok(None) };
    match DataTree::open(dir, Allowed::from(limits)) {
        Ok(data) => Ok(Some(Box::new(data))),
        Err(WatchError::Over(figures)) => Err(EndCause::Killed(KillReason::Quota(with_fix(&figures, plugin)))),
        Err(error) => Err(EndCause::NotStarted(error.to_string())),
    }
}

/// A worker whose directory is watched from now on.
#[derive(Debug)]
pub(super) struct Watched {
    pub token: Token,
    pub plugin: PluginId,
    pub pid: i32,
    pub pidfd: PidFd,
    tree: DataTree,
    quota: Quota,
    /// It is over its quota and frozen; the pool ends it.
    stopped: bool,
    /// Whether it was said that we lack what counting takes.
    said: bool,
}

impl Watched {
    pub fn new(
        token: Token,
        plugin: PluginId,
        pid: i32,
        pidfd: PidFd,
        allowed: Allowed,
        data: (DataTree, Usage),
    ) -> Self {
        let (tree, usage) = data;
        Self {
            token,
            plugin,
            pid,
            pidfd,
            tree,
            quota: Quota::new(allowed, usage, clock::now()),
            stopped: false,
            said: false,
        }
    }
}

enum Message {
    Begin(Box<Watched>),
    End(Token),
}

/// The way to the thread; it ends with this.
#[derive(Debug)]
pub(super) struct DataWatcher {
    sender: Option<Sender<Message>>,
    wake: Arc<EventFd>,
}

impl DataWatcher {
    /// Starts the thread.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(requests: Requests, audit: Audit) -> io::Result<Self> {
        let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?);
        let (sender, receiver) = channel();
        let thread = Thread { wake: wake.clone(), receiver, requests, audit, watched: Vec::new() };
        std::thread::Builder::new().name("data-watch".into()).spawn(move || thread.run())?;
        Ok(Self { sender: Some(sender), wake })
    }

    /// Watches a worker's directory from now on.
    pub fn begin(&self, watched: Watched) {
        self.send(Message::Begin(Box::new(watched)));
    }

    /// The worker has ended: what it did last is recorded.
    pub fn end(&self, token: Token) {
        self.send(Message::End(token));
    }

    fn send(&self, message: Message) {
        if let Some(sender) = &self.sender {
            let _ = sender.send(message); // the thread lives as long as this
            let _ = self.wake.write(1); // fails only when 2^64 wake-ups are pending
        }
    }
}

impl Drop for DataWatcher {
    fn drop(&mut self) {
        self.sender = None;
        let _ = self.wake.write(1); // as above
    }
}

struct Thread {
    wake: Arc<EventFd>,
    receiver: Receiver<Message>,
    requests: Requests,
    audit: Audit,
    watched: Vec<Watched>,
}

impl Thread {
    fn run(mut self) {
        loop {
            let ready = self.wait();
            let now = clock::now();
            for (index, is_ready) in ready.into_iter().enumerate() {
                let watched = &mut self.watched[index];
                if is_ready || watched.next().is_some_and(|next| next <= now) {
                    watched.turn(&self.audit, &self.requests);
                    // nobody waits for another's turn for long
                    self.watched.iter().for_each(Watched::thaw_overdue);
                }
            }
            let _ = self.wake.read(); // would block where nobody woke us
            loop {
                match self.receiver.try_recv() {
                    Ok(message) => self.take(message),
                    Err(std::sync::mpsc::TryRecvError::Empty) => break,
                    Err(std::sync::mpsc::TryRecvError::Disconnected) => return,
                }
            }
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Begin(watched) => self.watched.push(*watched),
            Message::End(token) => {
                if let Some(index) = self.watched.iter().position(|watched| watched.token == token) {
                    let mut watched = self.watched.swap_remove(index);
                    let _ = watched.record(&self.audit); // it writes no more
                }
            }
        }
    }

    /// Waits for changes and for what is due. Says which directories changed.
    fn wait(&self) -> Vec<bool> {
        let mut fds = vec![PollFd::new(self.wake.as_fd(), PollFlags::POLLIN)];
        // one that is to be counted anyway is left alone until then, however much it shouts
        let quiet = |watched: &Watched| watched.next().is_none() && !watched.stopped;
        for watched in &self.watched {
            let flags = if quiet(watched) { PollFlags::POLLIN } else { PollFlags::empty() };
            fds.push(PollFd::new(watched.tree.as_fd(), flags));
        }
        let next: Option<Time> = self.watched.iter().filter_map(Watched::next).min();
        let timeout = next.map(|next| TimeSpec::from_duration(next.since(clock::now())));
        match ppoll(&mut fds, timeout, None) {
            Ok(_) => fds[1..].iter().map(|fd| fd.any().unwrap_or(true)).collect(),
            Err(_) => vec![false; self.watched.len()], // interrupted
        }
    }
}

impl Watched {
    /// Records what happened, counts, and does what follows.
    fn turn(&mut self, audit: &Audit, requests: &Requests) {
        if self.stopped {
            return;
        }
        let now = clock::now();
        if self.quota.is_frozen() && !self.quota.is_frozen_long(now) && !self.pidfd.has_stopped() {
            return self.quota.still_moving(now);
        }
        let (active, hidden) = match self.record(audit) {
            Ok(found) => found,
            Err(errno) => return self.uncounted(errno, requests),
        };
        if active {
            self.quota.changed(now);
        }
        let decision = if hidden { self.quota.hidden_write(now) } else { Decision::Nothing };
        if matches!(decision, Decision::Stop(_)) {
            return self.carry_out(decision, requests);
        }
        let before = clock::thread_time();
        let usage = match self.tree.usage(|| self.thaw_overdue()) {
            Ok(usage) => usage,
            Err(errno) => return self.uncounted(errno, requests),
        };
        let took = clock::thread_time().saturating_sub(before);
        if let Some(errno) = self.tree.take_shortage() {
            self.warn(errno);
        } else if !self.tree.is_unwatched() {
            self.said = false;
        }
        let after = clock::now();
        let count = Count { usage, took, free: self.tree.free(), deletes: self.tree.deletes };
        let decision = self.quota.counted(after, &count);
        self.carry_out(decision, requests);
    }

    /// When its turn is next, whether something changes or not.
    fn next(&self) -> Option<Time> {
        self.quota.next().filter(|_| !self.stopped)
    }

    /// Lets it go on where it was frozen for too long, whatever counting finds.
    fn thaw_overdue(&self) {
        if !self.stopped && self.quota.is_overdue(clock::now()) {
            let _ = self.pidfd.signal(Signal::SIGCONT); // it may have ended
        }
    }

    /// It could not be counted: what we lack ourselves is no fault of the plugin.
    fn uncounted(&mut self, errno: Errno, requests: &Requests) {
        let decision = match errno {
            Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOSPC => {
                self.warn(errno);
                self.quota.uncounted(clock::now())
            }
            errno => Decision::Stop(WatchError::from(errno).to_string()),
        };
        self.carry_out(decision, requests);
    }

    fn warn(&mut self, errno: Errno) {
        if !std::mem::replace(&mut self.said, true) {
            tracing::warn!(
                "{}: the supervisor cannot watch all of its data directory: {}; until then its quota is held later \
                 than usual",
                self.plugin,
                match errno {
                    Errno::ENOSPC =>
                        "there are too many inotify watches; raise them with `sysctl fs.inotify.max_user_watches=524288`",
                    Errno::EMFILE | Errno::ENFILE =>
                        "it has no descriptors left; raise LimitNOFILE of its service, or `ulimit -n`",
                    errno => errno.desc(),
                }
            );
        }
    }

    /// Records what happened since the last look. Says whether anything did, and
    /// whether a deleted file was written to.
    fn record(&mut self, audit: &Audit) -> Result<(bool, bool), Errno> {
        let look = self.tree.look()?;
        for (what, path, bytes) in look.changes {
            audit.record(&self.plugin, AuditEvent::File { what, path, bytes });
        }
        if look.missed > 0 {
            audit.record(&self.plugin, AuditEvent::Lost { count: look.missed });
        }
        Ok((look.active, look.hidden_write))
    }

    fn carry_out(&mut self, decision: Decision, requests: &Requests) {
        // one to a process that has ended does nothing
        let signal = |signal| {
            let _ = self.pidfd.signal(signal);
        };
        match decision {
            Decision::Nothing => {}
            Decision::Freeze => signal(Signal::SIGSTOP),
            Decision::Thaw => signal(Signal::SIGCONT),
            Decision::FileLimit(bytes) => {
                if let Err(errno) = set_file_limit(self.pid, &self.pidfd, bytes) {
                    tracing::debug!("{}: its file limit stays: {errno}", self.plugin);
                }
                signal(Signal::SIGCONT);
            }
            Decision::Stop(figures) => {
                signal(Signal::SIGSTOP);
                self.stopped = true;
                requests.send(Request::OverQuota { token: self.token, figures });
            }
        }
    }
}
