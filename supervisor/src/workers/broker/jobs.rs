//! Threads for what can take long: one a job, so many and no more.

use super::refusal;
use midimon_shared::PluginId;
use midimon_shared::host::{HostRefusal, RefusalKind};
use midimon_shared::places::{Place, Places};
use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Jobs at once. A process has one request out; a connection that its end leaves behind ends at its own deadline.
pub const MAX_JOBS: usize = 64;
/// Names that are resolved at once; the system's resolver knows no deadline.
pub const MAX_RESOLVERS: usize = 16;
/// Those of one plugin, its ended processes included, so that a slow name of its own holds up nobody else.
pub const MAX_RESOLVERS_EACH: usize = 2;
/// How long the end of programs is waited for: they are killed when it begins.
const PROGRAMS_END: Duration = Duration::from_secs(2);

/// See the module. Dropping it waits for the programs that plugins run to be killed.
#[derive(Debug)]
pub struct Jobs {
    running: Places,
    resolvers: Places,
    resolvers_each: Mutex<HashMap<PluginId, Places>>,
    programs: Arc<Programs>,
}

impl Default for Jobs {
    fn default() -> Self {
        Self {
            running: Places::new(MAX_JOBS),
            resolvers: Places::new(MAX_RESOLVERS),
            resolvers_each: Mutex::default(),
            programs: Arc::default(),
        }
    }
}

impl Jobs {
    /// Runs a job on a thread of its own.
    ///
    /// # Errors
    /// There are too many, or no thread can be had.
    pub fn start(&self, job: impl FnOnce() + Send + 'static) -> Result<(), HostRefusal> {
        let place = self
            .running
            .take()
            .ok_or_else(|| refusal(RefusalKind::TooMany, format!("{MAX_JOBS} requests are being carried out")))?;
        let run = move || {
            job();
            drop(place);
        };
        match std::thread::Builder::new().name("request".into()).spawn(run) {
            Ok(_) => Ok(()),
            Err(error) => Err(refusal(RefusalKind::Failed, format!("no thread can be had: {error}"))),
        }
    }

    /// Places for threads that resolve a plugin's names.
    pub fn resolvers(&self, plugin: &PluginId) -> Resolvers {
        let mut each = self.resolvers_each.lock().unwrap_or_else(PoisonError::into_inner);
        let own = each.entry(plugin.clone()).or_insert_with(|| Places::new(MAX_RESOLVERS_EACH)).clone();
        Resolvers { own, all: self.resolvers.clone() }
    }

    /// Says that a program runs, until it is dropped.
    pub fn program(&self) -> Running {
        *self.programs.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Running(self.programs.clone())
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        let count = self.programs.count.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.programs.fewer.wait_timeout_while(count, PROGRAMS_END, |count| *count > 0);
    }
}

/// Places of one plugin among those of all.
#[derive(Clone, Debug)]
pub struct Resolvers {
    own: Places,
    all: Places,
}

impl Resolvers {
    /// `None` when all of either are taken.
    pub fn take(&self) -> Option<[Place; 2]> {
        Some([self.own.take()?, self.all.take()?])
    }

    /// Places for a command that resolves names by itself.
    pub fn of(most: usize) -> Self {
        Self { own: Places::new(most), all: Places::new(most) }
    }
}

#[derive(Debug, Default)]
struct Programs {
    count: Mutex<usize>,
    fewer: Condvar,
}

/// A program that runs.
#[derive(Debug)]
pub struct Running(Arc<Programs>);

impl Drop for Running {
    fn drop(&mut self) {
        *self.0.count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.fewer.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::until;
    use std::sync::mpsc::channel;

    #[test]
    fn one_job_too_many_is_refused_and_a_place_comes_back() {
        let jobs = Jobs::default();
        let (go, wait) = channel::<()>();
        let (wait, (ended, end)) = (Arc::new(Mutex::new(wait)), channel());
        for _ in 0..MAX_JOBS {
            let (wait, ended) = (wait.clone(), ended.clone());
            let job = move || {
                let _ = wait.lock().unwrap().recv();
                let _ = ended.send(());
            };
            jobs.start(job).unwrap();
        }
        assert_eq!(jobs.start(|| {}).unwrap_err().kind, RefusalKind::TooMany);
        drop(go);
        end.iter().take(MAX_JOBS).count();
        until("the last of them gives its place back", || jobs.start(|| {}).is_ok());
    }

    #[test]
    fn a_plugin_whose_names_are_slow_leaves_places_to_the_others() {
        let jobs = Jobs::default();
        let resolvers = |plugin: &str| jobs.resolvers(&plugin.parse().unwrap());
        let slow: Vec<_> = (0..MAX_RESOLVERS).map_while(|_| resolvers("slow").take()).collect();
        assert_eq!(slow.len(), MAX_RESOLVERS_EACH);
        assert!(resolvers("other").take().is_some());
        drop(slow);
        assert!(resolvers("slow").take().is_some());
    }

    #[test]
    fn the_end_waits_for_programs() {
        let jobs = Jobs::default();
        let running = jobs.program();
        let (ended, end) = channel();
        let thread = std::thread::spawn(move || {
            drop(jobs);
            ended.send(()).unwrap();
        });
        assert!(end.try_recv().is_err());
        drop(running);
        end.recv().unwrap();
        thread.join().unwrap();
    }
}
