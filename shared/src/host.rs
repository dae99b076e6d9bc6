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
/// Longest name of an event, in bytes.
pub const MAX_EVENT_NAME: usize = 64;
/// Longest value of an event, in bytes.
pub const MAX_EVENT_VALUE: usize = 1024;
/// Timers of one plugin.
pub const MAX_TIMERS: usize = 32;
/// Shortest time of a timer, in milliseconds.
pub const MIN_TIMER_MS: u32 = 10;
/// Longest time of a timer, in milliseconds: a day.
pub const MAX_TIMER_MS: u32 = 86_400_000;
/// Longest name of the action a timer calls, in bytes.
pub const MAX_ACTION: usize = 256;
/// Most parameters of the action a timer calls, in bytes of JSON.
pub const MAX_TIMER_PARAMS: usize = 4 * 1024;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct HostRequest {
    /// To be repeated in the answer; higher with each request of a process.
    pub id: u32,
    /// What to do.
    pub call: HostCall,
}

/// What can be asked for. Each needs its grant, unless it says that it needs none.
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
    /// Emit an event, which mappings can wait for. Needs no grant.
    Emit {
        /// Its name, at most [`MAX_EVENT_NAME`] bytes.
        event: String,
        /// What it says, at most [`MAX_EVENT_VALUE`] bytes; can be empty.
        value: String,
    },
    /// Set a light of a device. Grant `midi:PORT` of the device's output.
    SetLight {
        /// The device's alias in the configuration.
        device: String,
        /// 1 to 16.
        channel: u8,
        /// Which of its lights.
        light: Light,
        /// Value or colour, 0 to 127; 0 is off.
        value: u8,
    },
    /// Make the mode of this name the active one. Grant `mode`.
    SetMode(String),
    /// Call this plugin later. Needs no grant; [`MAX_TIMERS`] at most.
    TimerSet {
        /// Chosen by the plugin; one that is in use is set anew.
        id: u32,
        /// From now, and from call to call: [`MIN_TIMER_MS`] to [`MAX_TIMER_MS`].
        ms: u32,
        /// Again and again, or once.
        every: bool,
        /// The action to call, at most [`MAX_ACTION`] bytes.
        action: String,
        /// Its parameters, a JSON object of at most [`MAX_TIMER_PARAMS`] bytes; empty is none.
        params: String,
    },
    /// Stop a timer; one that is not there is no error.
    TimerCancel {
        /// As it was set.
        id: u32,
    },
    /// How full the data directory is. Needs no grant.
    Usage,
    /// The certificates that TLS servers are checked against. Needs no grant.
    TlsRoots,
}

/// A light of a controller, named by the message that sets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Light {
    /// A note, 0 to 127.
    Note(u8),
    /// A controller, 0 to 127.
    Control(u8),
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
    /// How full the data directory is.
    Usage(DataUsage),
    /// The certificates; a sealed memfd comes with this message, read from its beginning: each
    /// certificate as DER, its length in front as a little-endian `u32`.
    Roots,
}

/// How full a data directory is, and may become.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct DataUsage {
    /// Bytes in use.
    pub used_bytes: u64,
    /// Most bytes.
    pub max_bytes: u64,
    /// Files and directories in use.
    pub used_files: u64,
    /// Most files and directories.
    pub max_files: u64,
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
