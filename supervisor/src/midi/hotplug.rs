//! Hears of ports that come and go, and tells those who care once things have settled.
//!
//! The sequencer announces every client and port. A device announces several in
//! a row, so the ports are listed anew only when nothing was announced for
//! [`SETTLE`]; a port that is gone is told at once, since keys may hang on it.

use super::seq::{self, Port, SeqError};
use crate::clock::{Time, now};
use alsa::poll::{Descriptors, pollfd};
use alsa::seq::{Addr, EventType, PortCap, PortSubscribe, PortType};
use alsa::{Direction, Seq};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

/// Quiet time after the last announcement.
pub const SETTLE: Duration = Duration::from_millis(300);
/// A listing is never put off longer than this, however much is announced.
const LATEST: Duration = Duration::from_secs(2);

/// Cares about ports. Called by the hot-plug thread.
pub trait PortWatcher: Send + Sync {
    /// This port (client, port) is gone.
    fn gone(&self, client: i32, port: i32);

    /// These ports are there now.
    fn settled(&self, ports: &[Port]);
}

/// The hot-plug thread; ends when dropped.
pub struct Hotplug {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    wake: EventFd,
    stop: AtomicBool,
    watchers: Mutex<Vec<Weak<dyn PortWatcher>>>,
}

impl Hotplug {
    /// Subscribes to the sequencer's announcements.
    ///
    /// # Errors
    /// The sequencer cannot be used, see [`SeqError`].
    pub fn start() -> Result<Self, SeqError> {
        let seq = seq::open(None)?;
        let port = seq.create_simple_port(c"hot-plug", PortCap::WRITE | PortCap::NO_EXPORT, PortType::APPLICATION)?;
        let subscription = PortSubscribe::empty()?;
        subscription.set_sender(Addr::system_announce());
        subscription.set_dest(Addr { client: seq.client_id()?, port });
        seq.subscribe_port(&subscription)?;
        let other = |error: &dyn std::fmt::Display| SeqError::Other(error.to_string());
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let wake = EventFd::from_value_and_flags(0, flags).map_err(|error| other(&error))?;
        let shared = Arc::new(Shared { wake, stop: AtomicBool::new(false), watchers: Mutex::default() });
        let thread = std::thread::Builder::new()
            .name("hot-plug".into())
            .spawn({
                let shared = shared.clone();
                move || shared.run(&seq)
            })
            .map_err(|error| other(&error))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Tells `watcher` from now on, until it is dropped; the ports that are there come at once.
    pub fn watch(&self, watcher: Weak<dyn PortWatcher>) {
        self.shared.watchers.lock().unwrap_or_else(PoisonError::into_inner).push(watcher);
        self.rescan();
    }

    /// Lists the ports anew and tells every watcher, soon and on the hot-plug thread.
    pub fn rescan(&self) {
        let _ = self.shared.wake.write(1); // full means it will wake anyway
    }
}

impl Drop for Hotplug {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.rescan();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // it has nothing to say
        }
    }
}

impl Shared {
    fn run(&self, seq: &Seq) {
        let mut settling = Settling::default();
        let Ok(sequencer) = (seq, Some(Direction::Capture)).get() else { return };
        let mut fds = vec![pollfd { fd: self.wake.as_raw_fd(), events: libc::POLLIN, revents: 0 }];
        fds.extend(sequencer);
        while !self.stop.load(Ordering::Acquire) {
            let timeout = settling.due().map_or(-1, |due| due.since(now()).as_millis() as i32 + 1);
            if alsa::poll::poll(&mut fds, timeout).is_err() {
                continue; // interrupted by a signal
            }
            if self.wake.read().is_ok() {
                settling.list_at(now());
            }
            self.read_announcements(seq, &mut settling);
            if settling.due().is_some_and(|due| due <= now()) {
                settling = Settling::default();
                let ports = seq::ports_of(seq);
                self.tell(|watcher| watcher.settled(&ports));
            }
        }
    }

    fn read_announcements(&self, seq: &Seq, settling: &mut Settling) {
        let mut input = seq.input();
        while input.event_input_pending(true).is_ok_and(|pending| pending > 0) {
            let Ok(event) = input.event_input() else {
                // some were lost: only a listing can tell
                settling.announced(now());
                continue;
            };
            if event.get_source().client != Addr::system_announce().client {
                continue; // somebody else wrote to our port
            }
            match event.get_type() {
                EventType::PortExit => {
                    if let Some(Addr { client, port }) = event.get_data::<Addr>() {
                        self.tell(|watcher| watcher.gone(client, port));
                    }
                    settling.announced(now());
                }
                EventType::PortStart | EventType::PortChange | EventType::ClientExit | EventType::ClientChange => {
                    settling.announced(now());
                }
                // a client without ports is nothing yet; subscriptions are none of our business
                _ => {}
            }
        }
    }

    fn tell(&self, tell: impl Fn(&dyn PortWatcher)) {
        let mut watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.retain(|watcher| watcher.strong_count() > 0);
        let living: Vec<_> = watchers.iter().filter_map(Weak::upgrade).collect();
        drop(watchers); // a watcher may want to add another
        for watcher in living {
            tell(&*watcher);
        }
    }
}

/// When the ports are listed: [`SETTLE`] after the last announcement, [`LATEST`] after the first.
#[derive(Debug, Default)]
struct Settling {
    first: Option<Time>,
    due: Option<Time>,
}

impl Settling {
    fn announced(&mut self, at: Time) {
        let latest = *self.first.get_or_insert(at) + LATEST;
        self.due = Some(latest.min(at + SETTLE));
    }

    fn list_at(&mut self, at: Time) {
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    fn due(&self) -> Option<Time> {
        self.due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flurry_of_announcements_is_one_listing_after_it() {
        let mut settling = Settling::default();
        assert_eq!(settling.due(), None);
        for at in [0, 100, 200] {
            settling.announced(Time::from_millis(at));
        }
        assert_eq!(settling.due(), Some(Time::from_millis(500)));
    }

    #[test]
    fn endless_announcements_put_a_listing_off_two_seconds_at_most() {
        let mut settling = Settling::default();
        for at in (0..5000).step_by(50) {
            settling.announced(Time::from_millis(at));
        }
        assert_eq!(settling.due(), Some(Time::from_millis(2000)));
    }

    #[test]
    fn a_wish_to_list_now_does_not_wait_for_things_to_settle() {
        let mut settling = Settling::default();
        settling.announced(Time::from_millis(10));
        settling.list_at(Time::from_millis(20));
        assert_eq!(settling.due(), Some(Time::from_millis(20)));
    }
}
