//! What inputs deliver, and to whom.

use super::parser::{Faults, ParsedEvent, Parser};
use crate::clock::Time;
use crate::mapping::types::DeviceIndex;
use midimon_shared::ChannelMessage;
use serde::Serialize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Devices that are told apart; later ones share the last index.
pub const MAX_DEVICES: usize = 256;

/// Takes what inputs deliver.
///
/// Called by the thread that read the bytes, so nothing here may wait for a
/// slow party. One device's calls come in order, different devices' at once.
pub trait MidiSink: Send + Sync + 'static {
    /// A channel message was read.
    fn message(&self, device: &DeviceRef, at: Time, message: ChannelMessage);

    /// A system message was read: SysEx with its `F0` and `F7`, or a few bytes.
    fn system(&self, device: &DeviceRef, at: Time, bytes: &[u8]);

    /// A device is there and will be listened to, for the first time or again.
    fn connected(&self, device: &DeviceRef);

    /// A device is gone: release what it held.
    fn disconnected(&self, device: &DeviceRef);

    /// An input has nothing more to deliver: a replay or standard input ended.
    fn finished(&self, device: &DeviceRef);

    /// Something the user should read.
    fn note(&self, text: String);
}

/// A device that messages come from. Cheap to clone.
#[derive(Clone, Debug)]
pub struct DeviceRef {
    /// Where it stands in its [`DeviceTable`]; the same again when it is plugged in again.
    pub index: DeviceIndex,
    /// How it is called.
    pub name: Arc<str>,
    stats: Arc<Stats>,
}

#[derive(Debug, Default)]
struct Stats {
    connected: AtomicBool,
    messages: AtomicU64,
    sensing: AtomicU64,
    stray: AtomicU64,
    overruns: AtomicU64,
    aborted: AtomicU64,
}

/// How a device is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeviceStatus {
    /// How it is called.
    pub name: Arc<str>,
    /// Whether it is there.
    pub connected: bool,
    /// Channel messages it sent.
    pub messages: u64,
    /// Active-sensing messages it sent; they are not delivered.
    pub sensing: u64,
    /// What was wrong with its bytes.
    pub faults: Faults,
}

impl DeviceRef {
    /// How it is doing.
    #[must_use]
    pub fn status(&self) -> DeviceStatus {
        let stats = &self.stats;
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        DeviceStatus {
            name: self.name.clone(),
            connected: stats.connected.load(Ordering::Relaxed),
            messages: load(&stats.messages),
            sensing: load(&stats.sensing),
            faults: Faults {
                stray: load(&stats.stray),
                overruns: load(&stats.overruns),
                aborted: load(&stats.aborted),
            },
        }
    }
}

/// Every device that was ever seen, by name.
#[derive(Debug, Default)]
pub struct DeviceTable(Mutex<Vec<DeviceRef>>);

impl DeviceTable {
    /// The device of this name, new if need be.
    pub fn device(&self, name: &str) -> DeviceRef {
        let mut devices = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = devices.iter().find(|device| &*device.name == name) {
            return known.clone();
        }
        let index = devices.len().min(MAX_DEVICES - 1);
        let device = DeviceRef { index: index as DeviceIndex, name: name.into(), stats: Arc::default() };
        if devices.len() < MAX_DEVICES {
            devices.push(device.clone());
        }
        device
    }

    /// All of them, each at its index.
    #[must_use]
    pub fn all(&self) -> Vec<DeviceRef> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The way from one device's bytes to the sink.
pub struct Feed {
    parser: Parser,
    device: DeviceRef,
    sink: Arc<dyn MidiSink>,
}

impl Feed {
    /// Announces the device as connected; dropping the feed announces it as gone.
    #[must_use]
    pub fn new(device: DeviceRef, sink: Arc<dyn MidiSink>) -> Self {
        device.stats.connected.store(true, Ordering::Relaxed);
        sink.connected(&device);
        Self { parser: Parser::new(), device, sink }
    }

    /// Whose bytes these are.
    #[must_use]
    pub fn device(&self) -> &DeviceRef {
        &self.device
    }

    /// Where they go.
    #[must_use]
    pub fn sink(&self) -> &Arc<dyn MidiSink> {
        &self.sink
    }

    /// Bytes were read.
    pub fn bytes(&mut self, at: Time, bytes: &[u8]) {
        let Self { parser, device, sink } = self;
        let stats = &device.stats;
        let before = parser.faults();
        parser.feed(bytes, |event| match event {
            ParsedEvent::Channel(message) => {
                stats.messages.fetch_add(1, Ordering::Relaxed);
                sink.message(device, at, message);
            }
            // three a second from many keyboards, saying nothing
            ParsedEvent::Realtime(0xFE) => {
                stats.sensing.fetch_add(1, Ordering::Relaxed);
            }
            ParsedEvent::Realtime(byte) => sink.system(device, at, &[byte]),
            ParsedEvent::SysEx(bytes) | ParsedEvent::SystemCommon(bytes) => sink.system(device, at, bytes),
            ParsedEvent::SysExAborted => {}
        });
        let faults = parser.faults();
        if faults != before {
            stats.stray.fetch_add(faults.stray - before.stray, Ordering::Relaxed);
            stats.overruns.fetch_add(faults.overruns - before.overruns, Ordering::Relaxed);
            stats.aborted.fetch_add(faults.aborted - before.aborted, Ordering::Relaxed);
        }
    }

    /// A channel message from a source that has no bytes.
    pub fn message(&mut self, at: Time, message: ChannelMessage) {
        let bytes = message.to_bytes();
        self.bytes(at, &bytes[..message.wire_len()]);
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.device.stats.connected.store(false, Ordering::Relaxed);
        self.sink.disconnected(&self.device);
    }
}

#[cfg(test)]
pub(super) mod testing {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// What a sink was told.
    #[derive(Clone, Debug, PartialEq)]
    pub enum Told {
        Message(DeviceIndex, Time, ChannelMessage),
        System(Vec<u8>),
        Connected(Arc<str>),
        Disconnected(Arc<str>),
        Finished(Arc<str>),
        Note(String),
    }

    /// A sink that passes everything on to a channel.
    pub struct Recorder(Mutex<Sender<Told>>);

    pub fn recorder() -> (Arc<dyn MidiSink>, Receiver<Told>) {
        let (sender, receiver) = channel();
        (Arc::new(Recorder(Mutex::new(sender))), receiver)
    }

    impl Recorder {
        fn tell(&self, told: Told) {
            let _ = self.0.lock().unwrap().send(told); // a test may have seen enough
        }
    }

    impl MidiSink for Recorder {
        fn message(&self, device: &DeviceRef, at: Time, message: ChannelMessage) {
            self.tell(Told::Message(device.index, at, message));
        }

        fn system(&self, _: &DeviceRef, _: Time, bytes: &[u8]) {
            self.tell(Told::System(bytes.to_vec()));
        }

        fn connected(&self, device: &DeviceRef) {
            self.tell(Told::Connected(device.name.clone()));
        }

        fn disconnected(&self, device: &DeviceRef) {
            self.tell(Told::Disconnected(device.name.clone()));
        }

        fn finished(&self, device: &DeviceRef) {
            self.tell(Told::Finished(device.name.clone()));
        }

        fn note(&self, text: String) {
            self.tell(Told::Note(text));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{Told, recorder};
    use super::*;

    #[test]
    fn a_device_keeps_its_index_and_too_many_share_the_last() {
        let table = DeviceTable::default();
        let first = table.device("a").index;
        for number in 0..MAX_DEVICES + 10 {
            assert!(usize::from(table.device(&number.to_string()).index) < MAX_DEVICES);
        }
        assert_eq!(table.device("a").index, first);
        assert_eq!(table.all().len(), MAX_DEVICES);
        assert!(table.all().iter().enumerate().all(|(at, device)| at == usize::from(device.index)));
    }

    #[test]
    fn bytes_become_messages_and_faults_and_active_sensing_are_counted() {
        let (sink, told) = recorder();
        let device = DeviceTable::default().device("pads");
        let mut feed = Feed::new(device.clone(), sink);
        let at = Time::from_millis(5);
        feed.bytes(at, &[7, 0x90, 60, 1, 0xFE, 0xF8, 0xF0, 1, 0xF7, 0xF0, 2, 0xF6]);
        drop(feed);
        let message = ChannelMessage::from_bytes([0x90, 60, 1]).unwrap();
        let expected = [
            Told::Connected("pads".into()),
            Told::Message(0, at, message),
            Told::System(vec![0xF8]),
            Told::System(vec![0xF0, 1, 0xF7]),
            Told::System(vec![0xF6]),
            Told::Disconnected("pads".into()),
        ];
        assert_eq!(told.iter().collect::<Vec<_>>(), expected);
        let faults = Faults { stray: 1, overruns: 0, aborted: 1 };
        let status = DeviceStatus { name: "pads".into(), connected: false, messages: 1, sensing: 1, faults };
        assert_eq!(device.status(), status);
    }
}
