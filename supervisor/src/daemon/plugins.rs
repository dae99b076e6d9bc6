//! Has the plugin directory looked through, on a thread of its own: a module that
//! takes long to compile holds up neither input, nor reloads, nor the end.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// See the module.
#[derive(Debug)]
pub struct PluginSync {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    rounds: Mutex<Rounds>,
    changed: Condvar,
}

/// How often the directory was to be looked through, and up to which of these it was.
/// Whatever is asked for during a round is done by one more round after it.
#[derive(Debug, Default)]
struct Rounds {
    asked: u64,
    done: u64,
    stopped: bool,
}

impl Rounds {
    const fn is_done(&self) -> bool {
        self.done == self.asked
    }
}

impl Shared {
    fn rounds(&self) -> MutexGuard<'_, Rounds> {
        self.rounds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, look_through: impl Fn()) {
        loop {
            let idle = |rounds: &mut Rounds| rounds.is_done() && !rounds.stopped;
            let rounds = self.changed.wait_while(self.rounds(), idle).unwrap_or_else(PoisonError::into_inner);
            if rounds.stopped {
                return;
            }
            let round = rounds.asked;
            drop(rounds);
            look_through();
            self.rounds().done = round;
            self.changed.notify_all();
        }
    }
}

impl PluginSync {
    /// Starts the thread, which calls `look_through` for each round; there is none to do yet.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(look_through: impl Fn() + Send + 'static) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let thread = {
            let shared = shared.clone();
            std::thread::Builder::new().name("plugins".into()).spawn(move || shared.run(look_through))?
        };
        Ok(Self { shared, thread: Mutex::new(Some(thread)) })
    }

    /// Has the plugin directory looked through soon.
    pub fn ask(&self) {
        self.shared.rounds().asked += 1;
        self.shared.changed.notify_all();
    }

    /// Whether everything asked for so far is done.
    pub fn is_done(&self) -> bool {
        self.shared.rounds().is_done()
    }

    /// Waits until everything asked for so far is done, `at_most` so long where that
    /// is given. False when it is not, or will never be.
    pub fn wait(&self, at_most: Option<Duration>) -> bool {
        let rounds = self.shared.rounds();
        let wanted = rounds.asked;
        let wait = |rounds: &mut Rounds| rounds.done < wanted && !rounds.stopped;
        let rounds = match at_most {
            Some(limit) => {
                let waited = self.shared.changed.wait_timeout_while(rounds, limit, wait);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.shared.changed.wait_while(rounds, wait).unwrap_or_else(PoisonError::into_inner),
        };
        rounds.done >= wanted
    }

    /// Ends the thread, after the round under way; whoever waits for one goes on.
    pub fn stop(&self) {
        self.shared.rounds().stopped = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join(); // a panic there was reported there
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    const LONG: Duration = Duration::from_secs(30);

    /// Rounds that say when they begin and end when they are told to.
    fn sync() -> (PluginSync, Receiver<()>, Sender<()>) {
        let ((begin, begun), (end, ends)) = (channel(), channel());
        let look_through = move || {
            begin.send(()).unwrap();
            let _ = ends.recv(); // all of them end when the test does
        };
        (PluginSync::start(look_through).unwrap(), begun, end)
    }

    #[test]
    fn what_is_asked_for_during_a_round_is_done_by_one_more_round() {
        let (sync, begun, end) = sync();
        assert!(sync.is_done() && sync.wait(None), "nothing was asked for");
        sync.ask();
        begun.recv_timeout(LONG).unwrap();
        assert!(!sync.is_done());
        assert!(!sync.wait(Some(Duration::ZERO)));
        for _ in 0..3 {
            sync.ask();
        }
        end.send(()).unwrap();
        begun.recv_timeout(LONG).unwrap();
        assert!(!sync.is_done(), "the first round was for the first time only");
        end.send(()).unwrap();
        assert!(sync.wait(Some(LONG)));
        assert!(sync.is_done());
        sync.stop();
        assert_eq!(begun.try_iter().count(), 0);
    }

    #[test]
    fn the_end_waits_for_the_round_under_way_and_frees_whoever_waits_for_another() {
        let (sync, begun, end) = sync();
        sync.ask();
        begun.recv_timeout(LONG).unwrap();
        sync.ask();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| sync.wait(None));
            let stops = scope.spawn(|| sync.stop());
            assert!(!waits.join().unwrap(), "it will never be done");
            assert!(!stops.is_finished());
            end.send(()).unwrap();
            stops.join().unwrap();
        });
        assert_eq!(begun.try_iter().count(), 0);
    }
}
