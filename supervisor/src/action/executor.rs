//! Takes effects and has them carried out, each by the thread it belongs to.

use super::children::{Children, ChildrenStatus, Order};
use super::keyboard::KeyboardChoice;
use super::notes::Notes;
use super::template::fill;
use super::typist::{Typing, Typist, TypistStatus};
use crate::clock::now;
use crate::mapping::types::Effect;
use crate::midi::output::{NoteFn, OutMessage, OutputStatus, Outputs};
use midimon_shared::context::TriggerStamp;
use midimon_shared::host::Mouse;
use serde::Serialize;
use std::io;
use std::sync::Arc;

/// Carries out effects, until [`Executor::shutdown`].
pub struct Executor {
    typist: Typist,
    children: Children,
    outputs: Outputs,
    notes: Arc<Notes>,
}

/// How effects are doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExecutorStatus {
    /// Keystrokes and texts.
    pub keys: TypistStatus,
    /// Commands and applications.
    pub programs: ChildrenStatus,
    /// MIDI outputs.
    pub outputs: Vec<OutputStatus>,
}

impl Executor {
    /// Starts the threads; nothing is opened before it is needed.
    ///
    /// `note` gets every line for the user (failures with their remedy, `Log`
    /// effects), a few a second at most; it writes them to the log and the monitor.
    ///
    /// # Errors
    /// A thread or a descriptor could not be had.
    pub fn new(outputs: Outputs, keyboard: KeyboardChoice, note: NoteFn) -> io::Result<Self> {
        let notes = Arc::new(Notes::new(note));
        let typist = Typist::start(keyboard, notes.clone())?;
        let children = Children::start(notes.clone())?;
        Ok(Self { typist, children, outputs, notes })
    }

    /// Has an effect carried out soon. Never waits: where there is no room, it is
    /// dropped and counted, and false is returned.
    pub fn submit(&self, effect: &Effect, stamp: &TriggerStamp) -> bool {
        match effect {
            Effect::Keystroke(keystroke) => self.typist.submit(Typing::Keys(keystroke.clone())),
            Effect::Text(text) => self.typist.submit(Typing::Text(text.clone())),
            Effect::Shell(shell) => self.children.submit(Order::Shell(shell.clone())),
            Effect::Launch(application) => self.children.submit(Order::Launch(application.clone())),
            Effect::SendMidi(send) => self.outputs.send(&send.port, fill(send.message, stamp)),
            Effect::Panic => {
                self.panic();
                true
            }
            Effect::Log(text) => {
                self.notes.tell(now(), text);
                true
            }
        }
    }

    /// Has the mouse used soon. Never waits: false when there was no room, which is counted.
    pub fn mouse(&self, mouse: Mouse) -> bool {
        self.typist.submit(Typing::Mouse(mouse))
    }

    /// Has a message sent soon. Never waits: false when there was no room, which is counted.
    pub fn send(&self, port: &Arc<str>, message: impl Into<OutMessage>) -> bool {
        self.outputs.send(port, message)
    }

    /// Gets ready for these effects, so that the first of each comes at once: call it after every load.
    pub fn prepare<'a>(&self, effects: impl IntoIterator<Item = &'a Effect>) {
        let (mut ports, mut types) = (Vec::new(), false);
        for effect in effects {
            match effect {
                Effect::Keystroke(_) | Effect::Text(_) => types = true,
                Effect::SendMidi(send) => ports.push(&send.port),
                _ => {}
            }
        }
        self.outputs.prepare(ports);
        if types {
            self.typist.submit(Typing::WarmUp);
        }
    }

    /// Whether all that was submitted so far is over, well or not: texts are typed,
    /// commands have ended, applications are started, messages are sent.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.typist.is_idle() && self.children.is_idle() && self.outputs.is_idle()
    }

    /// Releases every key, forgets what waits to be typed or sent, silences every output.
    pub fn panic(&self) {
        self.typist.panic();
        self.outputs.panic();
    }

    /// Releases every key and note and kills commands that still run; returns
    /// when that is done. Nothing is typed, run or launched after it. Dropping does the same.
    pub fn shutdown(&self) {
        self.typist.close();
        self.children.close();
        self.outputs.close();
    }

    /// How effects are doing.
    #[must_use]
    pub fn status(&self) -> ExecutorStatus {
        ExecutorStatus { keys: self.typist.status(), programs: self.children.status(), outputs: self.outputs.status() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::types::{MidiTemplate, SendMidi, Shell, Value};
    use crate::midi::output::queue::Pace;
    use crate::midi::seq::SeqError;
    use midimon_shared::{Channel, U7};
    use std::sync::Mutex;
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    fn executor() -> (Executor, Receiver<String>) {
        let (noted, notes) = channel();
        let noted = Mutex::new(noted);
        let note: NoteFn = Arc::new(move |text| drop(noted.lock().unwrap().send(text)));
        let outputs = Outputs::new(&Err(SeqError::Missing), Pace::USB, note.clone());
        (Executor::new(outputs, KeyboardChoice::Uinput, note).unwrap(), notes)
    }

    #[test]
    fn every_kind_of_effect_reaches_the_one_who_carries_it_out() {
        let (executor, notes) = executor();
        let submit = |effect| assert!(executor.submit(&effect, &TriggerStamp::default()));
        submit(Effect::Log("hello".into()));
        assert_eq!(notes.recv().unwrap(), "hello");
        let argv = vec!["sh".into(), "-c".into(), "exit 7".into()];
        submit(Effect::Shell(Shell { argv, timeout: Duration::from_secs(60) }));
        assert_eq!(notes.recv().unwrap(), "\"sh -c exit 7\" ended with exit code 7");
        submit(Effect::Launch("/nonexistent".into()));
        assert!(notes.recv().unwrap().contains("could not be started"));
        let channel = Channel::from_status(0);
        let message = MidiTemplate::ChannelPressure { channel, pressure: Value::Fixed(U7::MAX) };
        submit(Effect::SendMidi(SendMidi { port: "synth".into(), message }));
        assert_eq!(notes.recv().unwrap(), format!("MIDI output \"synth\": {}", SeqError::Missing));
        submit(Effect::Panic);
        let status = executor.status();
        assert_eq!((status.programs.failed, status.outputs[0].dropped), (2, 1));
    }

    #[test]
    fn after_the_shutdown_nothing_is_started_and_it_may_be_called_twice() {
        let (executor, _notes) = executor();
        executor.shutdown();
        executor.shutdown();
        assert!(!executor.submit(&Effect::Text("x".into()), &TriggerStamp::default()));
        executor.submit(&Effect::Launch("true".into()), &TriggerStamp::default());
        let status = executor.status();
        assert_eq!((status.keys.sent, status.keys.dropped, status.programs.started), (0, 1, 0));
    }

    #[test]
    fn preparing_starts_outputs_before_anything_is_sent() {
        let (executor, _notes) = executor();
        let message = MidiTemplate::ProgramChange { channel: Channel::from_status(0), program: U7::MAX };
        let effects = ["b", "a", "b"].map(|port| Effect::SendMidi(SendMidi { port: port.into(), message }));
        executor.prepare(&effects);
        let names: Vec<_> = executor.status().outputs.into_iter().map(|output| output.name).collect();
        assert_eq!(names, ["a", "b"]);
    }
}
