//! A worker's log pipe: read in turns, left to wait when it floods, kept.

use super::slot::Slot;
use super::{Shared, Source};
use crate::clock::Time;
use crate::workers::log_file::LogFiles;
use crate::workers::process::LOG_PAUSE;
use nix::sys::epoll::{EpollEvent, EpollFlags};
use std::io::Read;

/// Bytes read from a log pipe before others get their turn.
pub(super) const LOG_CHUNK: usize = 64 * 1024;
/// Reads that empty a dead worker's pipe at most (a pipe holds 64 KiB, so more is not ours).
pub(super) const DRAIN_READS: usize = 64;

impl Slot {
    pub fn read_log(&mut self, shared: &mut Shared, now: Time) {
        let Some(process) = &self.process else { return };
        let Shared { chunk, logs, epoll, .. } = shared;
        match (&process.log).read(chunk) {
            Ok(0) => {
                let _ = epoll.delete(&process.log);
            }
            Ok(count) => {
                self.keep_log(logs.as_ref(), now, &chunk[..count]);
                if self.filter.is_flooded(now) {
                    self.pause_log(shared, now);
                }
            }
            Err(_) => {} // would block, or interrupted: epoll says when to try again
        }
    }

    /// Lets a flood wait in its pipe, where it holds up nobody but the plugin.
    fn pause_log(&mut self, shared: &Shared, now: Time) {
        if let Some(process) = &mut self.process
            && shared.epoll.delete(&process.log).is_ok()
        {
            process.log_paused = Some(now);
        }
    }

    pub(super) fn resume_log(&mut self, shared: &Shared, now: Time) {
        let event = EpollEvent::new(EpollFlags::EPOLLIN, self.token().data(Source::Log));
        if let Some(process) = &mut self.process
            && process.log_paused.is_some_and(|since| now.since(since) >= LOG_PAUSE)
            && shared.epoll.add(&process.log, event).is_ok()
        {
            process.log_paused = None;
        }
    }

    /// Takes what an ended worker has left in its log pipe.
    pub(super) fn drain_log(&mut self, shared: &mut Shared, now: Time) {
        let Shared { chunk, logs, .. } = shared;
        for _ in 0..DRAIN_READS {
            let Some(process) = &self.process else { break };
            match (&process.log).read(chunk) {
                Ok(count) if count > 0 => self.keep_log(logs.as_ref(), now, &chunk[..count]),
                _ => break,
            }
        }
        let (id, tail) = (&self.spec.id, &mut self.tail);
        self.filter.finish(now, |line| {
            if let Some(logs) = logs {
                logs.write(id, &line);
            }
            tail.push(line);
        });
    }

    fn keep_log(&mut self, logs: Option<&LogFiles>, now: Time, bytes: &[u8]) {
        let (id, tail) = (&self.spec.id, &mut self.tail);
        self.filter.feed(now, bytes, |line| {
            if let Some(logs) = logs {
                logs.write(id, &line);
            }
            tail.push(line);
        });
    }
}
