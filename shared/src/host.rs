//! What a plugin can ask the supervisor to do for it, and the answers.
//!
//! A request is an [`Event`](crate::protocol::Event) on descriptor 4; its answer is one message on the
//! SEQPACKET socket, descriptor 5, with a connection's descriptor where one was asked for. A worker has
//! one request out at a time, so that a call of the plugin never has to read past triggers that wait.

use bincode::{Decode, Encode};

/// Longest target: `host:port`, a port's name, a program's name. Bytes.
pub const MAX_TARGET: usize = 256;
/// Largest datagram, in bytes.
pub const MAX_DATAGRAM: usize = 8 * 1024;
/// Longest MIDI message a plugin can send, in bytes.
pub const MAX_MIDI: usize = 1024;
/// Most arguments of a program, and bytes in all of them.
pub const MAX_ARGUMENTS: usize = 64;
/// Bytes in all arguments of a program.
pub const MAX_ARGUMENT_BYTES: usize = 16 * 1024;
/// What is kept of a program's output and of its error output, in bytes each.
pub const MAX_OUTPUT: usize = 24 * 1024;
/// Longest text to type, notification body, or keystroke, in bytes.
pub const MAX_TEXT: usize = 1024;
/// Longest title of a notification, in bytes.
pub const MAX_TITLE: usize = 80;
/// Longest wait a plugin can ask for, in milliseconds.
pub const MAX_WAIT_MS: u32 = 30_000;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct HostRequest {
    /// To be repeated in the answer; higher with each request of a process.
    pub id: u32,
    /// What to do.
    pub call: HostCall,
}

/// What can be asked for. Each needs its grant.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum HostCall {
    /// Connect by TCP; the connected descriptor comes with the answer. Grant `network:HOST:PORT`.
    Connect {
        /// `host:port`, as granted.
        target: String,
        /// How long to try, at most [`MAX_WAIT_MS`].
        timeout_ms: u32,
    },
    /// Send a datagram. Grant `network:udp:HOST:PORT`.
    DatagramSend {
        /// `host:port`, as granted.
        target: String,
        /// At most [`MAX_DATAGRAM`] bytes.
        payload: Vec<u8>,
    },
    /// Wait for a datagram from where datagrams were sent to. Grant `network:udp:HOST:PORT`.
    DatagramReceive {
        /// `host:port`, as granted.
        target: String,
        /// How long to wait, at most [`MAX_WAIT_MS`].
        timeout_ms: u32,
    },
    /// Send one MIDI message. Grant `midi:PORT`.
    MidiSend {
        /// The output, as granted.
        port: String,
        /// A channel message or a whole SysEx, at most [`MAX_MIDI`] bytes.
        message: Vec<u8>,
    },
    /// Run a program, without a shell, and wait for its end. Grant `subprocess:PROGRAM`.
    Run {
        /// The program, as granted.
        program: String,
        /// Its arguments.
        arguments: Vec<String>,
        /// When to kill it, at most [`MAX_WAIT_MS`].
        timeout_ms: u32,
    },
    /// Press and release keys, spelled as in a mapping's `keys` and `modifiers`: `ctrl+shift+p`. Grant `input`.
    Keystroke(String),
    /// Type a text. Grant `input`.
    Text(String),
    /// Use the mouse. Grant `input`.
    Mouse(Mouse),
    /// Volume, media, brightness. Grant `system-control`.
    System(SystemControl),
    /// Show a notification; the supervisor puts the plugin's id in front. Needs no grant.
    Notify {
        /// At most [`MAX_TITLE`] bytes.
        title: String,
        /// At most [`MAX_TEXT`] bytes.
        body: String,
    },
}

/// What the mouse can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Mouse {
    /// Move by so many pixels.
    Move {
        /// To the right.
        dx: i16,
        /// Down.
        dy: i16,
    },
    /// Press and release a button.
    Click(MouseButton),
    /// Turn the wheel by so many notches.
    Scroll {
        /// To the right.
        dx: i8,
        /// Up.
        dy: i8,
    },
}

/// A mouse button.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[allow(missing_docs)]
pub enum MouseButton {
    Left,
    Middle,
    Right,
}

/// What can be controlled of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[allow(missing_docs)]
pub enum SystemControl {
    VolumeUp,
    VolumeDown,
    Mute,
    PlayPause,
    Stop,
    Next,
    Previous,
    BrightnessUp,
    BrightnessDown,
}

impl SystemControl {
    /// Every one, in the order of `MIDIMON_SYSTEM_*` from 1.
    pub const ALL: [Self; 9] = [
        Self::VolumeUp,
        Self::VolumeDown,
        Self::Mute,
        Self::PlayPause,
        Self::Stop,
        Self::Next,
        Self::Previous,
        Self::BrightnessUp,
        Self::BrightnessDown,
    ];
}

/// The answer to a [`HostRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct HostAnswer {
    /// Whose answer.
    pub id: u32,
    /// How it went.
    pub result: Result<HostReply, HostRefusal>,
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum HostReply {
    /// It is done.
    Done,
    /// Connected; the descriptor comes with this message.
    Connected,
    /// A datagram.
    Datagram(Vec<u8>),
    /// The program ended.
    Ran {
        /// Its exit code; 128 + the signal that ended it.
        code: i32,
        /// What it wrote, cut at [`MAX_OUTPUT`].
        stdout: Vec<u8>,
        /// What it complained about, cut at [`MAX_OUTPUT`].
        stderr: Vec<u8>,
    },
}

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct HostRefusal {
    /// What kind of reason.
    pub kind: RefusalKind,
    /// In words, for the plugin's author.
    pub message: String,
}

/// Kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum RefusalKind {
    /// The user has not granted it.
    NotGranted,
    /// The request makes no sense or is over a size limit.
    Invalid,
    /// Too many, too fast.
    TooMany,
    /// It took too long.
    TimedOut,
    /// It was tried and did not work.
    Failed,
}
