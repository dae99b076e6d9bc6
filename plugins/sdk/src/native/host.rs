//! The functions of midimon's table.

use super::Stream;
#[cfg(feature = "http")]
use super::tls::Session;
use crate::{HostError, Level, Mouse, Ran, Refusal, System, ffi};
use std::mem::{offset_of, size_of};
use std::net::TcpStream;
use std::os::fd::FromRawFd;
use std::path::PathBuf;

/// Room for a datagram, in bytes: the most that comes.
const MAX_DATAGRAM: usize = 8 * 1024;
/// Room for each output of a program, in bytes: the most that is kept.
const MAX_OUTPUT: usize = 24 * 1024;

/// midimon's table. An earlier midimon's ends after `fail`: look at `struct_size` before reading further.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Raw {
    pub(super) table: *const ffi::Host,
}

// SAFETY: the header says of `log`, `data_dir` and the requests: from any thread; the
// table itself never changes. `answer` and `fail` are not reachable through a `Host`.
unsafe impl Send for Raw {}
// SAFETY: as above.
unsafe impl Sync for Raw {}

impl Raw {
    /// # Safety
    /// `table` is what midimon gave to `init`: valid and unchanged until the process ends.
    pub(super) const unsafe fn new(table: *const ffi::Host) -> Self {
        Self { table }
    }

    pub(crate) fn log(&self, level: Level, message: &str) {
        // SAFETY: `new` was promised a valid table; the text lives through the call.
        unsafe { ((*self.table).log)(self.table, level as i32, ffi::Str::new(message)) }
    }

    pub(crate) fn data_dir(&self) -> Option<PathBuf> {
        // SAFETY: `new` was promised a valid table; the text is valid until shutdown returns
        // and copied here.
        let path = unsafe { ((*self.table).data_dir)(self.table).get() };
        (!path.is_empty()).then(|| PathBuf::from(path))
    }

    /// Within `handle` only, on its thread.
    pub(super) fn answer(&self, text: &str) {
        // SAFETY: as in `log`.
        unsafe { ((*self.table).answer)(self.table, ffi::Str::new(text)) }
    }

    /// Within `init` and `handle` only, on their thread.
    pub(super) fn fail(&self, message: &str) {
        // SAFETY: as in `log`.
        unsafe { ((*self.table).fail)(self.table, ffi::Str::new(message)) }
    }

    pub(crate) fn connect(&self, target: &str, timeout_ms: u32) -> Result<Stream, HostError> {
        self.socket(target, timeout_ms).map(Stream::Plain)
    }

    #[cfg(feature = "http")]
    pub(crate) fn connect_tls(&self, target: &str, timeout_ms: u32) -> Result<Stream, HostError> {
        Session::connect(self, target, timeout_ms).map(|session| Stream::Tls(Box::new(session)))
    }

    pub(super) fn socket(&self, target: &str, timeout_ms: u32) -> Result<TcpStream, HostError> {
        self.check()?;
        let mut socket = -1;
        // SAFETY: the table has this function; the text and the place live through the call.
        let code = unsafe { ((*self.table).connect)(self.table, ffi::Str::new(target), timeout_ms, &raw mut socket) };
        self.result(code)?;
        // SAFETY: the header promises a connected descriptor that is now the plugin's own.
        Ok(unsafe { TcpStream::from_raw_fd(socket) })
    }

    pub(crate) fn datagram_send(&self, target: &str, payload: &[u8]) -> Result<(), HostError> {
        self.check()?;
        // SAFETY: the table has this function; the bytes live through the call.
        let code = unsafe { ((*self.table).datagram_send)(self.table, ffi::Str::new(target), bytes(payload)) };
        self.result(code)
    }

    pub(crate) fn datagram_receive(&self, target: &str, timeout_ms: u32) -> Result<Vec<u8>, HostError> {
        self.check()?;
        let mut payload = vec![0; MAX_DATAGRAM];
        let mut buffer = buffer(&mut payload);
        // SAFETY: the table has this function; the buffer lives through the call.
        let code =
            unsafe { ((*self.table).datagram_receive)(self.table, ffi::Str::new(target), timeout_ms, &raw mut buffer) };
        let length = buffer.len;
        self.result(code)?;
        payload.truncate(length);
        Ok(payload)
    }

    pub(crate) fn midi_send(&self, port: &str, message: &[u8]) -> Result<(), HostError> {
        self.check()?;
        // SAFETY: the table has this function; the texts live through the call.
        let code = unsafe { ((*self.table).midi_send)(self.table, ffi::Str::new(port), bytes(message)) };
        self.result(code)
    }

    pub(crate) fn run(&self, program: &str, arguments: &[&str], timeout_ms: u32) -> Result<Ran, HostError> {
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
            ((*self.table).run)(
                self.table,
                ffi::Str::new(program),
                arguments.as_ptr(),
                arguments.len(),
                timeout_ms,
                &raw mut output,
            )
        };
        let (code_of, lengths) = (output.exit_code, [output.out.len, output.err.len]);
        self.result(code)?;
        stdout.truncate(lengths[0]);
        stderr.truncate(lengths[1]);
        Ok(Ran { code: code_of, stdout, stderr })
    }

    pub(crate) fn keystroke(&self, keys: &str) -> Result<(), HostError> {
        self.check()?;
        // SAFETY: the table has this function; the text lives through the call.
        let code = unsafe { ((*self.table).keystroke)(self.table, ffi::Str::new(keys)) };
        self.result(code)
    }

    pub(crate) fn type_text(&self, text: &str) -> Result<(), HostError> {
        self.check()?;
        // SAFETY: the table has this function; the text lives through the call.
        let code = unsafe { ((*self.table).type_text)(self.table, ffi::Str::new(text)) };
        self.result(code)
    }

    pub(crate) fn mouse(&self, mouse: Mouse) -> Result<(), HostError> {
        self.check()?;
        let (what, x, y) = match mouse {
            Mouse::Move(x, y) => (ffi::MOUSE_MOVE, x.into(), y.into()),
            Mouse::Scroll(x, y) => (ffi::MOUSE_SCROLL, x.into(), y.into()),
            Mouse::Left => (ffi::MOUSE_LEFT, 0, 0),
            Mouse::Middle => (ffi::MOUSE_MIDDLE, 0, 0),
            Mouse::Right => (ffi::MOUSE_RIGHT, 0, 0),
        };
        // SAFETY: the table has this function.
        let code = unsafe { ((*self.table).mouse)(self.table, what, x, y) };
        self.result(code)
    }

    pub(crate) fn system(&self, what: System) -> Result<(), HostError> {
        self.check()?;
        // SAFETY: the table has this function.
        let code = unsafe { ((*self.table).system_control)(self.table, what as i32) };
        self.result(code)
    }

    pub(crate) fn notify(&self, title: &str, body: &str) -> Result<(), HostError> {
        self.check()?;
        // SAFETY: the table has this function; the texts live through the call.
        let code = unsafe { ((*self.table).notify)(self.table, ffi::Str::new(title), ffi::Str::new(body)) };
        self.result(code)
    }

    /// Whether the table goes as far as the last of these functions: they came together.
    fn check(&self) -> Result<(), HostError> {
        self.reaches(offset_of!(ffi::Host, notify))
    }

    /// Whether the table has the function at this offset.
    pub(super) fn reaches(&self, offset: usize) -> Result<(), HostError> {
        // SAFETY: every table begins with its size.
        let size = unsafe { (*self.table).struct_size };
        if size as usize >= offset + size_of::<usize>() {
            return Ok(());
        }
        Err(HostError::new(Refusal::Unsupported, "this midimon is too old: it cannot do that for plugins"))
    }

    pub(super) fn result(&self, code: i32) -> Result<(), HostError> {
        let kind = match code {
            ffi::OK => return Ok(()),
            ffi::E_NOT_GRANTED => Refusal::NotGranted,
            ffi::E_INVALID => Refusal::Invalid,
            ffi::E_TOO_MANY => Refusal::TooMany,
            ffi::E_TIMED_OUT => Refusal::TimedOut,
            _ => Refusal::Failed,
        };
        // SAFETY: the table has this function; its text is copied before the thread's next request.
        let message = unsafe { ((*self.table).refusal)(self.table).get() }.to_owned();
        Err(HostError::new(kind, message))
    }
}

const fn bytes(bytes: &[u8]) -> ffi::Bytes {
    ffi::Bytes { data: bytes.as_ptr(), len: bytes.len() }
}

const fn buffer(room: &mut [u8]) -> ffi::Buffer {
    ffi::Buffer { data: room.as_mut_ptr(), capacity: room.len(), len: 0 }
}
