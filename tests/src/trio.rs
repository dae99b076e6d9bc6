//! A plugin that means harm, beside two good ones that must not notice.

use crate::{Bed, Config, Daemon, Watch, eventually, midi};
use midimon::workers::status::{CallCounts, WorkerState, WorkerStatus};
use std::time::{Duration, Instant};

/// Plays the native good plugin.
const ECHO: u8 = 120;
/// Plays the WASM good plugin.
const ECHO_WASM: u8 = 121;
/// Longest that an answer of a good plugin, or of the daemon, may take beside the
/// bad one: far less than what the bad one could hold up, far more than a busy machine does.
const PATIENCE: Duration = Duration::from_secs(2);

/// How the others fared while one misbehaved.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Rounds in which both good plugins and the daemon answered.
    pub rounds: u32,
    /// Longest from a note to the native plugin's answer seen by a watcher.
    pub echo: Duration,
    /// The same for the WASM plugin.
    pub echo_wasm: Duration,
    /// Longest the daemon took for its status.
    pub status: Duration,
}

/// See the module.
#[derive(Debug)]
pub struct Trio {
    /// Its home and plugin directory.
    pub bed: Bed,
    /// The daemon.
    pub daemon: Daemon,
    /// Its events.
    pub watch: Watch,
    bad: String,
    figures: Figures,
    descriptors: Vec<String>,
    good_pids: [Option<i32>; 2],
}

impl Trio {
    /// Starts the fixture `bad` with `settings` and its actions on notes from 0 on,
    /// each with more keys such as `params = { ms = 5 }`, and waits until all are ready.
    ///
    /// # Panics
    /// One does not become ready.
    #[must_use]
    pub fn start(bad: &str, settings: &str, actions: &[(&str, &str)]) -> Self {
        let bed = Bed::new();
        bed.install(bad);
        Self::start_in(bed, bad, settings, actions)
    }

    /// As [`Self::start`], with the bad plugin already in the bed.
    ///
    /// # Panics
    /// One does not become ready.
    #[must_use]
    pub fn start_in(bed: Bed, bad: &str, settings: &str, actions: &[(&str, &str)]) -> Self {
        bed.install("echo");
        bed.install("echo-wasm");
        let mut config =
            Config::new().plugin(bad, settings).note(ECHO, "echo", "quiet").note(ECHO_WASM, "echo-wasm", "quiet");
        for (note, (action, keys)) in (0..).zip(actions) {
            config = config.note_with(note, bad, action, keys);
        }
        bed.configure(&config);
        let daemon = bed.start();
        let good_pids = ["echo", "echo-wasm"].map(|id| daemon.wait_ready(id).pid);
        daemon.wait_ready(bad);
        let watch = daemon.watch();
        let descriptors = daemon.settled_descriptors();
        Self { bed, daemon, watch, bad: bad.to_owned(), figures: Figures::default(), descriptors, good_pids }
    }

    /// The bad plugin, now.
    #[must_use]
    pub fn bad(&self) -> WorkerStatus {
        self.daemon.worker(&self.bad)
    }

    /// Asks the bad plugin for the action with this index.
    pub fn misbehave(&mut self, action: u8) {
        self.daemon.send(&midi::tap(action));
    }

    /// Plays both good plugins once and asks the daemon for its status.
    ///
    /// # Panics
    /// One of them does not answer, or too late.
    pub fn others_answer(&mut self) {
        for (id, note, slowest) in
            [("echo", ECHO, &mut self.figures.echo), ("echo-wasm", ECHO_WASM, &mut self.figures.echo_wasm)]
        {
            let started = Instant::now();
            self.daemon.send(&midi::tap(note));
            let answer = self.watch.answer(id);
            assert!(!answer.failed, "{id}: {answer:?}");
            *slowest = started.elapsed().max(*slowest);
        }
        let started = Instant::now();
        for worker in self.daemon.status().workers {
            assert_counts(&worker);
        }
        self.figures.status = started.elapsed().max(self.figures.status);
        self.figures.rounds += 1;
        let Figures { echo, echo_wasm, status, .. } = self.figures;
        assert!([echo, echo_wasm, status].iter().all(|&took| took < PATIENCE), "{:?}", self.figures);
    }

    /// Lets the others answer, again and again, until the bad one is as wanted.
    ///
    /// # Panics
    /// It does not become so, or another one suffers.
    pub fn until(&mut self, what: &str, wanted: impl Fn(&WorkerStatus) -> bool) -> WorkerStatus {
        eventually(what, || {
            self.others_answer();
            let bad = self.bad();
            if wanted(&bad) { Ok(bad) } else { Err(format!("{bad:#?}\n{}", self.daemon.log_text())) }
        })
    }

    /// As [`Self::until`], for the bad one to be ready again in another process.
    ///
    /// # Panics
    /// As [`Self::until`].
    pub fn until_replaced(&mut self, pid: Option<i32>) -> WorkerStatus {
        self.until("it comes back", |bad| bad.state == WorkerState::Ready && bad.pid != pid)
    }

    /// Looks that nothing is left of what happened, stops, and gives the figures.
    ///
    /// # Panics
    /// A good plugin was restarted, or a zombie, a process or a descriptor is left.
    pub fn finish(mut self) -> Figures {
        self.others_answer();
        for (id, pid) in ["echo", "echo-wasm"].into_iter().zip(self.good_pids) {
            let worker = self.daemon.worker(id);
            assert_eq!((worker.pid, worker.restarts), (pid, 0), "{id} suffered: {worker:#?}");
            assert_eq!(worker.calls.received, worker.calls.done, "{id} lost calls: {worker:#?}");
        }
        let expected: Vec<i32> = {
            let mut pids: Vec<i32> = self.daemon.status().workers.iter().filter_map(|worker| worker.pid).collect();
            pids.sort_unstable();
            pids
        };
        let children = self.daemon.workers();
        assert!(!children.iter().any(crate::Process::is_zombie), "zombies: {children:?}");
        assert_eq!(children.iter().map(|child| child.pid).collect::<Vec<_>>(), expected);
        if expected.len() == 3 {
            self.daemon.wait_descriptors(&self.descriptors);
        }
        self.daemon.stop();
        let Figures { rounds, echo, echo_wasm, status } = self.figures;
        println!(
            "{}: others answered {rounds} times meanwhile; slowest: echo {echo:.1?}, echo-wasm {echo_wasm:.1?}, status {status:.1?}",
            self.bad
        );
        self.figures
    }
}

/// Looks that every trigger is accounted for.
///
/// # Panics
/// It is not.
pub fn assert_counts(worker: &WorkerStatus) {
    let CallCounts { received, done, failed, timed_out, dropped, in_flight } = worker.calls;
    assert_eq!(received, done + failed + timed_out + dropped.total() + in_flight, "{}: {:?}", worker.id, worker.calls);
}
