//! What a plugin asks of midimon, each with its grant.

use crate::{Host, ffi};
use std::mem::{offset_of, size_of};
use std::net::TcpStream;
use std::os::fd::FromRawFd;
use std::time::Duration;

/// Kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The user has not granted it.
    NotGranted,
    /// The request makes no sense or is over a size limit.
    Invalid,
    /// Too many, too fast: ask again later.
    TooMany,
    /// It took longer than it may.
    TimedOut,
    /// It was tried and did not work.
    Failed,
    /// This midimon is too old for it.
    Unsupported,
}

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostError {
    kind: Refusal,
    message: String,
}

impl HostError {
    pub(crate) const fn new(kind: Refusal, message: String) -> Self {
        Self { kind, message }
    }

    /// What kind of reason.
    #[must_use]
    pub const fn kind(&self) -> Refusal {
        self.kind
    }
}

impl std::fmt::Display for HostError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for HostError {}

/// What came of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code; 128 + the signal that ended it.
    pub code: i32,
    /// What it wrote (24 KiB at most are kept).
    pub stdout: Vec<u8>,
    /// What it complained about (24 KiB at most are kept).
    pub stderr: Vec<u8>,
}

/// What the mouse can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mouse {
    /// Move by so many pixels, to the right and down.
    Move(i16, i16),
    /// Turn the wheel by so many notches, to the right and up.
    Scroll(i8, i8),
    /// Press and release the left button.
    Left,
    /// The middle one.
    Middle,
    /// The right one.
    Right,
}

/// What can be controlled of the system; the numbers are `MIDIMON_SYSTEM_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum System {
    VolumeUp = 1,
    VolumeDown = 2,
    Mute = 3,
    PlayPause = 4,
    Stop = 5,
    Next = 6,
    Previous = 7,
    BrightnessUp = 8,
    BrightnessDown = 9,
}

/// Room for a datagram, and for each output of a program.
const MAX_DATAGRAM: usize = 8 * 1024;
const MAX_OUTPUT: usize = 24 * 1024;

/// Each asks for its grant, is checked when it is asked for, written to the plugin's
/// audit log, and can be called from any thread; several threads take turns. The
/// time it takes is part of the call it is made in.
impl Host {
    /// Connects by TCP to `host:port` as granted (`network:HOST:PORT`), within 30 s at
    /// most (zero means that).
    ///
    /// # Errors
    /// Not granted, an address that is not public and not granted itself, no connection.
    pub fn connect(&self, target: &str, timeout: Duration) -> Result<TcpStream, HostError> {
        self.check()?;
        let mut socket = -1;
        // SAFETY: the table has this function; the text and the place live through the call.
        let code =
            unsafe { ((*self.table()).connect)(self.table(), ffi::Str::new(target), millis(timeout), &raw mut socket) };
        self.result(code)?;
        // SAFETY: the header promises a connected descriptor that is now the plugin's own.
        Ok(unsafe { TcpStream::from_raw_fd(socket) })
    }

    /// Sends a datagram to `host:port` as granted (`network:udp:HOST:PORT`).
    ///
    /// # Errors
    /// Not granted, over 8192 bytes, a fifth target, or it cannot be sent.
    pub fn datagram_send(&self, target: &str, payload: &[u8]) -> Result<(), HostError> {
        self.check()?;
        // SAFETY: the table has this function; the bytes live through the call.
        let code = unsafe { ((*self.table()).datagram_send)(self.table(), ffi::Str::new(target), bytes(payload)) };
        self.result(code)
    }

    /// Waits for a datagram from where one was sent to, 30 s at most.
    ///
    /// # Errors
    /// [`Refusal::TimedOut`] when none came.
    pub fn datagram_receive(&self, target: &str, timeout: Duration) -> Result<Vec<u8>, HostError> {
        self.check()?;
        let mut payload = vec![0; MAX_DATAGRAM];
        let mut buffer = buffer(&mut payload);
        // SAFETY: the table has this function; the buffer lives through the call.
        let code = unsafe {
            ((*self.table()).datagram_receive)(self.table(), ffi::Str::new(target), millis(timeout), &raw mut buffer)
        };
        let length = buffer.len;
        self.result(code)?;
        payload.truncate(length);
        Ok(payload)
    }

    /// Sends one MIDI message to an output as granted (`midi:PORT`): a channel message
    /// or a whole SysEx. Notes left on are switched off when the plugin's process ends.
    ///
    /// # Errors
    /// Not granted, not one whole message, or too many.
    pub fn midi_send(&self, port: &str, message: &[u8]) -> Result<(), HostError> {
        self.check()?;
        // SAFETY: the table has this function; the texts live through the call.
        let code = unsafe { ((*self.table()).midi_send)(self.table(), ffi::Str::new(port), bytes(message)) };
        self.result(code)
    }

    /// Runs a program as granted (`subprocess:PROGRAM`), without a shell, and waits for
    /// its end, 30 s at most (zero means that).
    ///
    /// # Errors
    /// Not granted, a program others can write to, or it was killed at its deadline.
    pub fn run(&self, program: &str, arguments: &[&str], timeout: Duration) -> Result<Ran, HostError> {
        self.check()?;
        let arguments: Vec<ffi::Str> = arguments.iter().map(|argument| ffi::Str::new(argument)).collect();
        let (mut stdout, mut stderr) = (vec![0; MAX_OUTPUT], vec![0; MAX_OUTPUT]);
        let mut output = ffi::Output {
            struct_size: size_of::<ffi::Output>() as u32,
            exit_code: 0,
            out: buffer(&mut stdout),
            err: buffer(&mut stderr),
        };
        // SAFETY: the table has this function; everything pointed to lives through the call.
        let code = unsafe {
            ((*self.table()).run)(
                self.table(),
                ffi::Str::new(program),
                arguments.as_ptr(),
                arguments.len(),
                millis(timeout),
                &raw mut output,
            )
        };
        let (code_of, lengths) = (output.exit_code, [output.out.len, output.err.len]);
        self.result(code)?;
        stdout.truncate(lengths[0]);
        stderr.truncate(lengths[1]);
        Ok(Ran { code: code_of, stdout, stderr })
    }

    /// Presses and releases keys, as in a mapping: `ctrl+shift+p`. Grant `input`.
    /// Returns when it is queued, as the next four do.
    ///
    /// # Errors
    /// Not granted, no such key, or too many.
    pub fn keystroke(&self, keys: &str) -> Result<(), HostError> {
        self.check()?;
        // SAFETY: the table has this function; the text lives through the call.
        let code = unsafe { ((*self.table()).keystroke)(self.table(), ffi::Str::new(keys)) };
        self.result(code)
    }

    /// Types a text of at most 1024 bytes. Grant `input`.
    ///
    /// # Errors
    /// Not granted, too long, or too many.
    pub fn type_text(&self, text: &str) -> Result<(), HostError> {
        self.check()?;
        // SAFETY: the table has this function; the text lives through the call.
        let code = unsafe { ((*self.table()).type_text)(self.table(), ffi::Str::new(text)) };
        self.result(code)
    }

    /// Uses the mouse. Grant `input`.
    ///
    /// # Errors
    /// Not granted, or too many.
    pub fn mouse(&self, mouse: Mouse) -> Result<(), HostError> {
        self.check()?;
        let (what, x, y) = match mouse {
            Mouse::Move(x, y) => (ffi::MOUSE_MOVE, x.into(), y.into()),
            Mouse::Scroll(x, y) => (ffi::MOUSE_SCROLL, x.into(), y.into()),
            Mouse::Left => (ffi::MOUSE_LEFT, 0, 0),
            Mouse::Middle => (ffi::MOUSE_MIDDLE, 0, 0),
            Mouse::Right => (ffi::MOUSE_RIGHT, 0, 0),
        };
        // SAFETY: the table has this function.
        let code = unsafe { ((*self.table()).mouse)(self.table(), what, x, y) };
        self.result(code)
    }

    /// Volume, media, brightness. Grant `system-control`.
    ///
    /// # Errors
    /// Not granted, or too many.
    pub fn system(&self, what: System) -> Result<(), HostError> {
        self.check()?;
        // SAFETY: the table has this function.
        let code = unsafe { ((*self.table()).system_control)(self.table(), what as i32) };
        self.result(code)
    }

    /// Shows a notification, the plugin's id in front of its title (80 bytes at most; the
    /// body 1024). Needs no grant; about one a second.
    ///
    /// # Errors
    /// Too long, or too many.
    pub fn notify(&self, title: &str, body: &str) -> Result<(), HostError> {
        self.check()?;
        // SAFETY: the table has this function; the texts live through the call.
        let code = unsafe { ((*self.table()).notify)(self.table(), ffi::Str::new(title), ffi::Str::new(body)) };
        self.result(code)
    }

    /// Whether the table goes as far as the last of these functions: they came together.
    fn check(&self) -> Result<(), HostError> {
        self.reaches(offset_of!(ffi::Host, notify))
    }

    /// Whether the table has the function at this offset.
    pub(crate) fn reaches(&self, offset: usize) -> Result<(), HostError> {
        // SAFETY: every table begins with its size.
        let size = unsafe { (*self.table()).struct_size };
        if size as usize >= offset + size_of::<usize>() {
            return Ok(());
        }
        let message = "this midimon is too old: it cannot do that for plugins".to_owned();
        Err(HostError::new(Refusal::Unsupported, message))
    }

    pub(crate) fn result(&self, code: i32) -> Result<(), HostError> {
        let kind = match code {
            ffi::OK => return Ok(()),
            ffi::E_NOT_GRANTED => Refusal::NotGranted,
            ffi::E_INVALID => Refusal::Invalid,
            ffi::E_TOO_MANY => Refusal::TooMany,
            ffi::E_TIMED_OUT => Refusal::TimedOut,
            _ => Refusal::Failed,
        };
        // SAFETY: the table has this function; its text is copied before the thread's next request.
        let message = unsafe { ((*self.table()).refusal)(self.table()).get() }.to_owned();
        Err(HostError { kind, message })
    }
}

fn millis(timeout: Duration) -> u32 {
    u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX)
}

const fn bytes(bytes: &[u8]) -> ffi::Bytes {
    ffi::Bytes { data: bytes.as_ptr(), len: bytes.len() }
}

const fn buffer(room: &mut [u8]) -> ffi::Buffer {
    ffi::Buffer { data: room.as_mut_ptr(), capacity: room.len(), len: 0 }
}
