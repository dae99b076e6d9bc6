//! The thread that sends keys, one effect after the other.

use super::keyboard::{Keyboard, KeyboardChoice, KeyboardError, Keyboards};
use super::keys::Key;
use super::notes::Notes;
use crate::clock::{Time, now};
use crate::mapping::types::Keystroke;
use midimon_shared::host::Mouse;
use serde::Serialize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Keystrokes and texts that wait at most.
pub(super) const MAX_WAITING: usize = 256;
/// After a failure the keyboard is opened again no sooner than this.
const RETRY: Duration = Duration::from_secs(1);

/// How key effects are doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TypistStatus {
    /// Where keys go; nothing until the first are sent.
    pub through: Option<&'static str>,
    /// Keystrokes and texts sent.
    pub sent: u64,
    /// Those that could not be sent.
    pub failed: u64,
    /// Those that found no room, or were forgotten by a panic.
    pub dropped: u64,
    /// Why the last one could not be sent.
    pub error: Option<String>,
}

/// What to type.
#[derive(Debug)]
pub(super) enum Typing {
    Keys(Keystroke),
    Text(Arc<str>),
    Mouse(Mouse),
    /// Nothing: the keyboard is opened so that it is there when needed.
    WarmUp,
}

/// Opens keyboards; another one in tests.
pub(super) type Open = Box<dyn FnMut() -> Result<Keyboards, KeyboardError> + Send>;

pub(super) struct Typist {
    queue: SyncSender<(u64, Typing)>,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Shared {
    /// What waits from an earlier epoch is forgotten.
    epoch: AtomicU64,
    stop: AtomicBool,
    /// Taken in and not finished.
    waiting: AtomicU64,
    dropped: AtomicU64,
    status: Mutex<TypistStatus>,
}

impl Typist {
    pub fn start(choice: KeyboardChoice, notes: Arc<Notes>) -> std::io::Result<Self> {
        Self::with(Box::new(move || Keyboards::open(choice)), notes)
    }

    pub fn with(open: Open, notes: Arc<Notes>) -> std::io::Result<Self> {
        let (queue, work) = sync_channel(MAX_WAITING);
        let shared = Arc::<Shared>::default();
        let thread = std::thread::Builder::new().name("keys".into()).spawn({
            let shared = shared.clone();
            move || {
                Hands { shared: &shared, notes, open, keyboards: Keyboards::default(), retry: Time::default() }
                    .run(&work)
            }
        })?;
        Ok(Self { queue, shared, thread: Mutex::new(Some(thread)) })
    }

    /// Never waits; false when there was no room, which is counted.
    pub fn submit(&self, typing: Typing) -> bool {
        let epoch = self.shared.epoch.load(Ordering::Acquire);
        // before it is sent: it may be finished when `try_send` returns
        self.shared.waiting.fetch_add(1, Ordering::AcqRel);
        let sent = self.queue.try_send((epoch, typing)).is_ok();
        if !sent {
            self.shared.waiting.fetch_sub(1, Ordering::AcqRel);
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
        sent
    }

    /// Whether all that was taken in is typed, or has failed.
    pub fn is_idle(&self) -> bool {
        self.shared.waiting.load(Ordering::Acquire) == 0
    }

    /// Whatever is being typed ends, what waits is forgotten, held keys are released.
    pub fn panic(&self) {
        self.shared.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// [`Self::panic`], and then the thread ends; returns when it has.
    pub fn close(&self) {
        self.shared.stop.store(true, Ordering::Release);
        self.panic();
        let _ = self.queue.try_send((0, Typing::WarmUp)); // a full queue wakes it too
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join(); // it has nothing to say
        }
    }

    pub fn status(&self) -> TypistStatus {
        let status = self.shared.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
        TypistStatus { dropped: self.shared.dropped.load(Ordering::Relaxed), ..status }
    }
}

impl Drop for Typist {
    fn drop(&mut self) {
        self.close();
    }
}

struct Hands<'a> {
    shared: &'a Shared,
    notes: Arc<Notes>,
    open: Open,
    keyboards: Keyboards,
    /// Not to be opened before.
    retry: Time,
}

impl Hands<'_> {
    fn run(mut self, work: &Receiver<(u64, Typing)>) {
        for (epoch, typing) in work {
            if self.shared.stop.load(Ordering::Acquire) {
                return;
            }
            if self.shared.epoch.load(Ordering::Acquire) == epoch {
                let counts = !matches!(typing, Typing::WarmUp);
                let result = self.type_it(epoch, &typing);
                self.record(counts, result);
            } else {
                self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            }
            self.shared.waiting.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn type_it(&mut self, epoch: u64, typing: &Typing) -> Result<(), Option<KeyboardError>> {
        if self.keyboards.for_keys().is_none() {
            if now() < self.retry {
                return Err(None); // it was told why when it was tried
            }
            self.retry = now() + RETRY;
            self.keyboards = (self.open)()?;
        }
        let ends = || self.shared.epoch.load(Ordering::Acquire) != epoch;
        match typing {
            Typing::Keys(keystroke) => {
                self.keyboards.for_keys().map_or(Ok(()), |keys| click(&mut **keys, keystroke, ends))?
            }
            Typing::Text(text) => self.keyboards.for_text(text)?.map_or(Ok(()), |keys| {
                text.chars().take_while(|_| !ends()).try_for_each(|character| keys.type_char(character))
            })?,
            Typing::Mouse(mouse) => self.keyboards.for_keys().map_or(Ok(()), |keys| keys.mouse(*mouse))?,
            Typing::WarmUp => {}
        }
        Ok(())
    }

    fn record(&mut self, counts: bool, result: Result<(), Option<KeyboardError>>) {
        let mut status = self.shared.status.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(()) => {
                status.through = self.keyboards.for_keys().map(|keyboard| keyboard.name());
                status.sent += u64::from(counts);
                status.error = None;
            }
            Err(error) => {
                status.failed += u64::from(counts);
                let Some(error) = error else { return };
                if matches!(error, KeyboardError::Failed(..)) {
                    // the device or the server is gone: begin anew
                    self.keyboards = Keyboards::default();
                    status.through = None;
                }
                let text = error.to_string();
                let is_new = status.error.as_ref() != Some(&text);
                status.error = Some(text.clone());
                drop(status);
                if is_new {
                    self.notes.tell(now(), &text);
                }
            }
        }
    }
}

/// Presses the modifiers, clicks the keys, releases the modifiers, even when something fails.
fn click(keyboard: &mut dyn Keyboard, keystroke: &Keystroke, ends: impl Fn() -> bool) -> Result<(), KeyboardError> {
    let mut held: Vec<Key> = Vec::with_capacity(keystroke.modifiers.len());
    let mut press_all = || {
        for &modifier in &keystroke.modifiers {
            keyboard.set(modifier, true)?;
            held.push(modifier);
        }
        for &key in keystroke.keys.iter().take_while(|_| !ends()) {
            let pressed = keyboard.set(key, true);
            let released = keyboard.set(key, false);
            pressed.and(released)?;
        }
        Ok(())
    };
    let result = press_all();
    let released = held.into_iter().rev().map(|modifier| keyboard.set(modifier, false));
    released.fold(result, Result::and)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::eventually;
    use std::sync::mpsc::{Sender, channel};

    /// Writes down what is typed: `+key`, `-key`, `'c'`. Fails at the key `f24`.
    struct Paper(Sender<String>);

    impl Keyboard for Paper {
        fn name(&self) -> &'static str {
            "paper"
        }
        fn set(&mut self, key: Key, down: bool) -> Result<(), KeyboardError> {
            if key == "f24".parse().unwrap() {
                return Err(KeyboardError::Failed("paper", "torn".into()));
            }
            let _ = self.0.send(format!("{}{key}", if down { '+' } else { '-' })); // a test may have seen enough
            Ok(())
        }
        fn can_type(&self, character: char) -> bool {
            character.is_ascii()
        }
        fn type_char(&mut self, character: char) -> Result<(), KeyboardError> {
            self.0.send(format!("'{character}'")).map_err(|_| KeyboardError::Failed("paper", "gone".into()))
        }
        fn mouse(&mut self, mouse: Mouse) -> Result<(), KeyboardError> {
            self.0.send(format!("{mouse:?}")).map_err(|_| KeyboardError::Failed("paper", "gone".into()))
        }
    }

    fn typist() -> (Typist, Receiver<String>, Receiver<String>) {
        let (noted, notes) = channel();
        let noted = Mutex::new(noted);
        let notes_of = Arc::new(Notes::new(Arc::new(move |text| drop(noted.lock().unwrap().send(text)))));
        let (sender, paper) = channel();
        let open: Open = Box::new(move || Ok(Keyboards::of(Paper(sender.clone()))));
        (Typist::with(open, notes_of).unwrap(), paper, notes)
    }

    fn keys(modifiers: &str, keys: &str) -> Typing {
        let parse = |names: &str| names.split_whitespace().map(|name| name.parse().unwrap()).collect();
        Typing::Keys(Keystroke { modifiers: parse(modifiers), keys: parse(keys) })
    }

    fn read(paper: &Receiver<String>, count: usize) -> String {
        paper.iter().take(count).collect::<Vec<_>>().join(" ")
    }

    fn settled(typist: &Typist, done: u64) -> TypistStatus {
        eventually("all is typed", || match typist.status() {
            status if status.sent + status.failed >= done => Ok(status),
            status => Err(status),
        })
    }

    #[test]
    fn modifiers_are_held_around_the_keys_and_released_in_reverse() {
        let (typist, paper, _notes) = typist();
        assert!(typist.submit(keys("ctrl shift", "a f5")));
        assert_eq!(read(&paper, 8), "+ctrl +shift +a -a +f5 -f5 -shift -ctrl");
        assert!(typist.submit(Typing::Text("hi".into())));
        assert_eq!(read(&paper, 2), "'h' 'i'");
        assert!(typist.submit(Typing::Mouse(Mouse::Scroll { dx: 0, dy: -1 })));
        assert_eq!(read(&paper, 1), "Scroll { dx: 0, dy: -1 }");
        assert_eq!(settled(&typist, 3), TypistStatus { through: Some("paper"), sent: 3, ..TypistStatus::default() });
    }

    #[test]
    fn modifiers_are_released_though_a_key_fails_which_is_told_once() {
        let (typist, paper, notes) = typist();
        for _ in 0..3 {
            typist.submit(keys("ctrl", "f24"));
        }
        assert_eq!(read(&paper, 2), "+ctrl -ctrl");
        let status = settled(&typist, 3);
        assert_eq!((status.failed, status.error.as_deref()), (3, Some("sending keys through paper failed: torn")));
        drop(typist);
        assert_eq!(notes.iter().count(), 1);
    }

    #[test]
    fn a_text_with_a_character_that_cannot_be_typed_is_refused_whole() {
        let (typist, paper, notes) = typist();
        typist.submit(Typing::Text("a€".into()));
        assert!(notes.recv().unwrap().contains("'€' cannot be typed"));
        typist.submit(Typing::Text("b".into()));
        assert_eq!(read(&paper, 1), "'b'");
    }

    #[test]
    fn panic_ends_what_is_typed_and_forgets_what_waits() {
        let (typist, paper, _notes) = typist();
        let long: Arc<str> = "x".repeat(1_000_000).into();
        assert!(typist.submit(Typing::Text(long.clone())));
        assert!(typist.submit(Typing::Text(long)));
        assert_eq!(read(&paper, 1), "'x'");
        typist.panic();
        typist.submit(keys("", "a"));
        let after: Vec<_> = paper.iter().take_while(|typed| typed != "+a").collect();
        assert!(after.len() < 999_999);
        assert_eq!(settled(&typist, 2).dropped, 1);
    }

    #[test]
    fn what_finds_no_room_is_counted_and_the_sender_does_not_wait() {
        let (noted, _notes) = channel();
        let noted = Mutex::new(noted);
        let notes = Arc::new(Notes::new(Arc::new(move |text| drop(noted.lock().unwrap().send(text)))));
        let (go, wait) = channel::<()>();
        let open: Open = Box::new(move || {
            let _ = wait.recv(); // ends too when the test is over
            Err(KeyboardError::NoKey('x'))
        });
        let typist = Typist::with(open, notes).unwrap();
        let accepted = (0..MAX_WAITING + 10).filter(|_| typist.submit(keys("", "a"))).count();
        assert!((MAX_WAITING..=MAX_WAITING + 1).contains(&accepted));
        assert_eq!(typist.status().dropped as usize, MAX_WAITING + 10 - accepted);
        drop(go);
    }
}
