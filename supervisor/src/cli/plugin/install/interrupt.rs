//! Ctrl-C while something is being installed: it ends as soon as it can, and leaves nothing.

use crate::cli::output::{Colour, Look, coloured_stderr};
use crate::plugins::install::{Progress, Step, Stopped};
use nix::sys::signal::{SigSet, Signal};
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Ends the step under way.
type Stop = Box<dyn Fn() + Send>;

#[derive(Default)]
struct State {
    asked: bool,
    finished: bool,
    stop: Option<Stop>,
}

/// The steps on standard error, where that is a terminal, and an ear for signals.
pub struct Watcher {
    state: Arc<Mutex<State>>,
    shown: bool,
}

impl Watcher {
    /// From now on SIGINT, SIGTERM and SIGHUP do not end this process by themselves.
    ///
    /// # Errors
    /// The thread that waits for them cannot be started.
    pub fn start() -> io::Result<Self> {
        let mut signals = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
            signals.add(signal);
        }
        // in every thread that is started from now on, too; children get an empty mask again
        signals.thread_block()?;
        let state = Arc::<Mutex<State>>::default();
        let heard = state.clone();
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            while signals.wait().is_ok() {
                let mut state = lock(&heard);
                if state.finished {
                    std::process::exit(130); // as the shell shows the end by SIGINT
                }
                state.asked = true;
                if let Some(stop) = &state.stop {
                    stop();
                }
            }
        })?;
        Ok(Self { state, shown: io::stderr().is_terminal() })
    }

    /// Ends the line of steps with what came of them. Signals end the process again.
    pub fn done(&self, well: bool) {
        lock(&self.state).finished = true;
        if self.shown {
            let look = Look { coloured: coloured_stderr(), width: 80 };
            let word = if well { look.paint(Colour::Good, "done") } else { look.paint(Colour::Bad, "not installed") };
            // a terminal that is gone has nobody to be told
            let _ = writeln!(io::stderr(), "{word}");
        }
    }

    /// Whether it was asked to end.
    pub fn was_stopped(&self) -> bool {
        lock(&self.state).asked
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Progress for Watcher {
    fn begin(&self, step: Step) -> Result<(), Stopped> {
        let mut state = lock(&self.state);
        if state.asked {
            return Err(Stopped);
        }
        state.stop = None;
        if self.shown {
            // as above
            let _ = write!(io::stderr(), "{}/{} {} ... ", step.number(), Step::COUNT, step.words());
            let _ = io::stderr().flush();
        }
        Ok(())
    }

    fn on_stop(&self, stop: Stop) {
        let mut state = lock(&self.state);
        if state.asked {
            stop();
        }
        state.stop = Some(stop);
    }
}
