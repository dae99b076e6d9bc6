//! One output's thread.

use super::queue::{OutMessage, Pace, Pacer, Queue, Queued, Sounding};
use super::{NoteFn, Opener, OutputStatus, Wire};
use crate::clock::{Time, now};
use crate::midi::seq::Port;
use midimon_shared::{Channel, ChannelMessage, U7};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// A port that could not be opened is tried again after this, when something is to be sent.
const RETRY: Duration = Duration::from_secs(1);
/// A message the port refuses (its queue is full) is tried this often…
const ATTEMPTS: u32 = 20;
/// …this far apart.
const ATTEMPT_GAP: Duration = Duration::from_millis(2);

/// A writer thread; dropping it switches off what sounds and ends it.
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    name: Arc<str>,
    state: Mutex<State>,
    wake: Condvar,
}

/// Held for as long as it takes to put something in or take it out.
#[derive(Default)]
struct State {
    queue: Queue,
    /// A message that was taken out of the queue is on its way.
    sending: bool,
    panic: bool,
    gone: Option<(i32, i32)>,
    retry_now: bool,
    stop: bool,
    status: OutputStatus,
}

/// What the thread does next.
enum Job {
    Send(OutMessage),
    Panic,
    Gone(i32, i32),
    Stop,
}

impl Writer {
    pub fn start(name: Arc<str>, opener: Arc<dyn Opener>, pace: Pace, note: NoteFn) -> std::io::Result<Self> {
        let status = OutputStatus { name: name.to_string(), ..OutputStatus::default() };
        let state = Mutex::new(State { status, ..State::default() });
        let shared = Arc::new(Shared { name, state, wake: Condvar::new() });
        let thread = std::thread::Builder::new().name("midi-out".into()).spawn({
            let shared = shared.clone();
            move || {
                Thread {
                    shared: &shared,
                    pace,
                    opener,
                    note,
                    line: None,
                    sounding: Sounding::default(),
                    retry: Time::default(),
                }
                .run()
            }
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// False when it was dropped.
    pub fn send(&self, message: OutMessage) -> bool {
        let mut state = self.shared.state();
        let queued = state.queue.push(message);
        match queued {
            Queued::Waits => {}
            Queued::Replaced => state.status.merged += 1,
            Queued::Dropped => state.status.dropped += 1,
        }
        drop(state);
        self.shared.wake.notify_one();
        queued != Queued::Dropped
    }

    pub fn panic(&self) {
        self.tell(|state| state.panic = true);
    }

    pub fn port_gone(&self, client: i32, port: i32) {
        self.tell(|state| state.gone = Some((client, port)));
    }

    pub fn ports_changed(&self) {
        self.tell(|state| state.retry_now = true);
    }

    pub fn is_idle(&self) -> bool {
        let state = self.shared.state();
        state.queue.is_empty() && !state.sending
    }

    pub fn status(&self) -> OutputStatus {
        self.shared.state().status.clone()
    }

    fn tell(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.state());
        self.shared.wake.notify_one();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.tell(|state| state.stop = true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join(); // it has nothing to say
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_job(&self) -> Job {
        let mut state = self.state();
        state.sending = false;
        loop {
            if let Some((client, port)) = state.gone.take() {
                return Job::Gone(client, port);
            }
            if state.panic || state.stop {
                let forgotten = state.queue.clear() as u64;
                state.status.dropped += forgotten;
                if std::mem::take(&mut state.panic) {
                    return Job::Panic;
                }
                // taken too, so that the last messages keep the pace
                state.stop = false;
                return Job::Stop;
            }
            if let Some(message) = state.queue.pop() {
                state.sending = true;
                return Job::Send(message);
            }
            state = self.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for a message's turn; something more urgent ends it early.
    fn wait_until(&self, due: Time) {
        let mut state = self.state();
        loop {
            let left = due.since(now());
            if left.is_zero() || state.panic || state.stop || state.gone.is_some() {
                return;
            }
            state = self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// A port that is open.
struct Line {
    port: Port,
    wire: Box<dyn Wire>,
    pacer: Pacer,
}

struct Thread<'a> {
    shared: &'a Shared,
    pace: Pace,
    opener: Arc<dyn Opener>,
    note: NoteFn,
    line: Option<Line>,
    sounding: Sounding,
    /// Not to be opened before.
    retry: Time,
}

impl Thread<'_> {
    fn run(mut self) {
        loop {
            match self.shared.next_job() {
                Job::Send(message) => self.send(message),
                Job::Panic => self.panic(),
                Job::Gone(client, port) => {
                    if self.line.as_ref().is_some_and(|line| (line.port.client, line.port.port) == (client, port)) {
                        self.hang_up();
                    }
                }
                Job::Stop => {
                    for off in self.sounding.release() {
                        self.send_paced(off.into());
                    }
                    return;
                }
            }
        }
    }

    fn send(&mut self, message: OutMessage) {
        if self.line.is_some() || self.open() {
            self.send_paced(message);
        }
    }

    /// True when the port is open; if not, the message that needs it is dropped.
    fn open(&mut self) -> bool {
        let retry_now = std::mem::take(&mut self.shared.state().retry_now);
        if !retry_now && now() < self.retry {
            self.shared.state().status.dropped += 1;
            return false;
        }
        match self.opener.open(&self.shared.name) {
            Ok((port, wire)) => {
                let mut state = self.shared.state();
                state.status.port = Some(port.name.clone());
                state.status.error = None;
                self.line = Some(Line { port, wire, pacer: Pacer::default() });
                true
            }
            Err(error) => {
                self.retry = now() + RETRY;
                self.failed(error);
                false
            }
        }
    }

    /// A message could not be sent: told once, until another error or success.
    fn failed(&self, error: String) {
        let mut state = self.shared.state();
        state.status.dropped += 1;
        if state.status.error.as_ref() != Some(&error) {
            state.status.error = Some(error.clone());
            drop(state);
            (self.note)(format!("MIDI output \"{}\": {error}", self.shared.name));
        }
    }

    fn send_paced(&mut self, message: OutMessage) {
        let Some(line) = &mut self.line else { return };
        let short;
        let bytes = match &message {
            OutMessage::Channel(message) => {
                short = message.to_bytes();
                &short[..message.wire_len()]
            }
            OutMessage::SysEx(bytes) => bytes,
        };
        self.shared.wait_until(line.pacer.send_at(self.pace, now(), bytes.len()));
        let mut result = line.wire.send(bytes);
        for _ in 1..ATTEMPTS {
            if result.is_ok() {
                break;
            }
            self.shared.wait_until(now() + ATTEMPT_GAP);
            result = line.wire.send(bytes);
        }
        match result {
            Ok(()) => {
                if let OutMessage::Channel(message) = message {
                    self.sounding.sent(message);
                }
                let mut state = self.shared.state();
                state.status.sent += 1;
                state.status.sounding = self.sounding.count();
            }
            Err(error) => {
                self.failed(error);
                // what is wrong with the port may be cured by opening it again
                self.hang_up();
            }
        }
    }

    fn panic(&mut self) {
        let all = (0..16).flat_map(|channel| {
            [120, 123].map(|controller| ChannelMessage::ControlChange {
                channel: Channel::from_status(channel),
                controller: U7::truncate(controller),
                value: U7::default(),
            })
        });
        // some instruments know only the note-offs
        for message in self.sounding.release().chain(all) {
            self.send_paced(message.into());
        }
    }

    fn hang_up(&mut self) {
        self.line = None;
        // an instrument that was unplugged has forgotten them too
        self.sounding = Sounding::default();
        let mut state = self.shared.state();
        state.status.port = None;
        state.status.sounding = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::super::Outputs;
    use super::*;
    use crate::midi::hotplug::PortWatcher;
    use crate::midi::seq::PortKind;
    use crate::testing::until;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// A port in memory that may be unplugged.
    struct Fake {
        there: AtomicBool,
        sent: Mutex<Sender<Vec<u8>>>,
    }

    struct FakeWire(Sender<Vec<u8>>);

    impl Wire for FakeWire {
        fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
            self.0.send(bytes.to_vec()).map_err(|error| error.to_string())
        }
    }

    impl Opener for Fake {
        fn open(&self, wanted: &str) -> Result<(Port, Box<dyn Wire>), String> {
            if !self.there.load(Ordering::Relaxed) {
                return Err(format!("no {wanted}"));
            }
            let port = Port {
                client: 20,
                port: 0,
                name: wanted.into(),
                client_name: wanted.into(),
                port_name: wanted.into(),
                kind: PortKind::Hardware,
                input: false,
                output: true,
            };
            Ok((port, Box::new(FakeWire(self.sent.lock().unwrap().clone()))))
        }
    }

    struct Bench {
        outputs: Outputs,
        fake: Arc<Fake>,
        sent: Receiver<Vec<u8>>,
        notes: Receiver<String>,
        name: Arc<str>,
    }

    fn bench(there: bool) -> Bench {
        let (sender, sent) = channel();
        let (noted, notes) = channel();
        let noted = Mutex::new(noted);
        let fake = Arc::new(Fake { there: AtomicBool::new(there), sent: Mutex::new(sender) });
        let note: NoteFn = Arc::new(move |text| drop(noted.lock().unwrap().send(text)));
        let outputs = Outputs::with(fake.clone(), Pace::USB, Arc::default(), note, None);
        Bench { outputs, fake, sent, notes, name: "synth".into() }
    }

    fn on(note: u8) -> ChannelMessage {
        ChannelMessage::from_bytes([0x90, note, 1]).unwrap()
    }

    impl Bench {
        fn send(&self, message: ChannelMessage) {
            assert!(self.outputs.send(&self.name, message));
        }

        fn status(&self) -> OutputStatus {
            self.outputs.status().remove(0)
        }
    }

    #[test]
    fn messages_arrive_in_order_without_the_byte_they_do_not_have() {
        let bench = bench(true);
        for note in 0..100 {
            bench.send(on(note));
        }
        bench.send(ChannelMessage::from_bytes([0xC0, 5, 0]).unwrap());
        for note in 0..100 {
            assert_eq!(bench.sent.recv().unwrap(), [0x90, note, 1]);
        }
        assert_eq!(bench.sent.recv().unwrap(), [0xC0, 5]);
    }

    #[test]
    fn a_sysex_is_sent_whole_in_its_turn() {
        let bench = bench(true);
        let bytes = [&[0xF0][..], &[1; 1022], &[0xF7]].concat();
        bench.send(on(1));
        assert!(bench.outputs.send(&bench.name, OutMessage::SysEx(bytes.as_slice().into())));
        bench.send(on(2));
        let sent: Vec<Vec<u8>> = bench.sent.iter().take(3).collect();
        assert_eq!(sent, [vec![0x90, 1, 1], bytes, vec![0x90, 2, 1]]);
    }

    #[test]
    fn outputs_are_idle_once_everything_is_sent_or_dropped() {
        for there in [true, false] {
            let bench = bench(there);
            // more than a burst, so that some of them wait for their turn
            for note in 0..100 {
                bench.send(on(note));
            }
            until("it is idle", || bench.outputs.is_idle());
            let OutputStatus { sent, dropped, .. } = bench.status();
            assert_eq!((sent, dropped), if there { (100, 0) } else { (0, 100) });
            assert_eq!(bench.sent.try_iter().count() as u64, sent);
        }
    }

    #[test]
    fn ending_switches_off_exactly_what_sounds() {
        let bench = bench(true);
        bench.send(on(60));
        bench.send(on(61));
        bench.send(ChannelMessage::from_bytes([0x80, 61, 0]).unwrap());
        let first: Vec<_> = bench.sent.iter().take(3).collect();
        assert_eq!(first[2], [0x80, 61, 0]);
        let Bench { outputs, fake, sent, .. } = bench;
        drop((outputs, fake));
        assert_eq!(sent.iter().collect::<Vec<_>>(), [[0x80, 60, 64]]);
    }

    #[test]
    fn panic_silences_notes_and_every_channel() {
        let bench = bench(true);
        bench.send(on(60));
        assert_eq!(bench.sent.recv().unwrap(), [0x90, 60, 1]);
        bench.outputs.panic();
        let silenced: Vec<_> = bench.sent.iter().take(33).collect();
        assert_eq!(silenced[0], [0x80, 60, 64]);
        for channel in 0..16 {
            for controller in [120, 123] {
                assert!(silenced.contains(&vec![0xB0 | channel, controller, 0]));
            }
        }
    }

    #[test]
    fn a_missing_port_is_told_once_counted_and_opened_when_it_appears() {
        let bench = bench(false);
        bench.send(on(1));
        assert_eq!(bench.notes.recv().unwrap(), "MIDI output \"synth\": no synth");
        bench.send(on(2));
        bench.fake.there.store(true, Ordering::Relaxed);
        until("the second is dropped too", || bench.status().dropped >= 2);
        bench.outputs.shared.settled(&[]);
        bench.send(on(3));
        assert_eq!(bench.sent.recv().unwrap(), [0x90, 3, 1]);
        assert!(bench.notes.try_recv().is_err());
        assert_eq!(bench.status().port.as_deref(), Some("synth"));
    }

    #[test]
    fn an_unplugged_port_is_closed_and_the_next_message_opens_it_again() {
        let bench = bench(true);
        bench.send(on(1));
        bench.sent.recv().unwrap();
        bench.outputs.shared.gone(20, 0);
        until("it is closed", || bench.status().port.is_none());
        assert_eq!(bench.status().sounding, 0);
        bench.send(on(2));
        assert_eq!(bench.sent.recv().unwrap(), [0x90, 2, 1]);
    }

    #[test]
    fn too_many_outputs_are_refused_with_a_note() {
        let bench = bench(true);
        let names: Vec<Arc<str>> = (0..super::super::MAX_PORTS).map(|n| n.to_string().into()).collect();
        bench.outputs.prepare(&names);
        assert!(!bench.outputs.send(&bench.name, on(1)));
        assert!(bench.notes.recv().unwrap().contains("\"synth\" is not used"));
    }
}
