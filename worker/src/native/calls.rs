//! The functions of `midimon_host` that ask the supervisor.

use super::host::table;
use crate::host::Answered;
use midimon_shared::abi::{
    Buffer, Bytes, E_FAILED, E_INVALID, E_NOT_GRANTED, E_TIMED_OUT, E_TOO_MANY, Host, MOUSE_LEFT, MOUSE_MIDDLE,
    MOUSE_MOVE, MOUSE_RIGHT, MOUSE_SCROLL, OK, Output, Str,
};
use midimon_shared::host::{
    HostCall, HostRefusal, HostReply, MAX_ARGUMENT_BYTES, MAX_ARGUMENTS, MAX_DATAGRAM, MAX_MIDI, MAX_TARGET, MAX_TEXT,
    MAX_TITLE, MAX_WAIT_MS, Mouse, MouseButton, RefusalKind, SystemControl,
};
use std::cell::RefCell;
use std::mem::size_of;
use std::os::fd::IntoRawFd;

thread_local! {
    /// Why this thread's last request was refused.
    static REFUSAL: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Asks, keeps the words of a refusal, and gives the rest to `take`.
///
/// # Safety
/// As [`table`].
pub(super) unsafe fn ask(
    host: *const Host,
    call: Result<HostCall, HostRefusal>,
    take: impl FnOnce(Answered) -> Result<(), HostRefusal>,
) -> i32 {
    // SAFETY: as the caller promises.
    let result = match unsafe { table(host) } {
        Some(table) => call.and_then(|call| table.client().ask(call)).and_then(take),
        None => Err(invalid("the host table is null")),
    };
    let (code, words) = match result {
        Ok(()) => (OK, String::new()),
        Err(HostRefusal { kind, message }) => (number(kind), message),
    };
    // fails only while the thread is being torn down, when nobody can ask for the words
    let _ = REFUSAL.try_with(|refusal| refusal.replace(words));
    code
}

const fn number(kind: RefusalKind) -> i32 {
    match kind {
        RefusalKind::NotGranted => E_NOT_GRANTED,
        RefusalKind::Invalid => E_INVALID,
        RefusalKind::TooMany => E_TOO_MANY,
        RefusalKind::TimedOut => E_TIMED_OUT,
        RefusalKind::Failed => E_FAILED,
    }
}

pub(super) fn invalid(message: impl Into<String>) -> HostRefusal {
    HostRefusal { kind: RefusalKind::Invalid, message: message.into() }
}

/// A plugin's text, never cut: one that is too long or not UTF-8 is refused.
pub(super) fn whole(what: &str, text: Str, max: usize) -> Result<String, HostRefusal> {
    let bytes = whole_bytes(what, Bytes { data: text.data, len: text.len }, max)?;
    String::from_utf8(bytes).map_err(|_| invalid(format!("the {what} is not UTF-8")))
}

fn whole_bytes(what: &str, bytes: Bytes, max: usize) -> Result<Vec<u8>, HostRefusal> {
    if bytes.len > max {
        return Err(invalid(format!("the {what} has {} bytes; {max} are the most", bytes.len)));
    }
    if bytes.data.is_null() || bytes.len == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the plugin says so many bytes are there. When it lies it can crash its own process, which it can anyway.
    Ok(unsafe { std::slice::from_raw_parts(bytes.data, bytes.len) }.to_vec())
}

/// Puts bytes into the plugin's buffer, as many as fit, and says how many there were.
///
/// # Safety
/// `buffer` is null or as the header says.
unsafe fn fill(buffer: *mut Buffer, bytes: &[u8]) {
    // SAFETY: as the caller promises.
    let Some(buffer) = (unsafe { buffer.as_mut() }) else { return };
    buffer.len = bytes.len();
    if !buffer.data.is_null() {
        let fits = bytes.len().min(buffer.capacity);
        // SAFETY: the plugin says there is room for `capacity` bytes; `bytes` are our own and lie elsewhere.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.data, fits) };
    }
}

const fn longest_for_0(timeout_ms: u32) -> u32 {
    if timeout_ms == 0 { MAX_WAIT_MS } else { timeout_ms }
}

pub(super) fn done(_: Answered) -> Result<(), HostRefusal> {
    Ok(())
}

pub(super) fn out_of_turn() -> HostRefusal {
    HostRefusal { kind: RefusalKind::Failed, message: "midimon answered something else".into() }
}

pub unsafe extern "C" fn refusal(_host: *const Host) -> Str {
    REFUSAL.try_with(|refusal| Str::new(&refusal.borrow())).unwrap_or(Str::EMPTY)
}

pub unsafe extern "C" fn connect(host: *const Host, target: Str, timeout_ms: u32, socket: *mut i32) -> i32 {
    let call = if socket.is_null() {
        Err(invalid("there is no place for the socket"))
    } else {
        whole("target", target, MAX_TARGET)
            .map(|target| HostCall::Connect { target, timeout_ms: longest_for_0(timeout_ms) })
    };
    let take = |answered: Answered| {
        let descriptor = answered.descriptor.ok_or_else(out_of_turn)?;
        // SAFETY: not null, and the plugin says it can be written to.
        unsafe { *socket = descriptor.into_raw_fd() };
        Ok(())
    };
    // SAFETY: the plugin passes the table it was given.
    unsafe { ask(host, call, take) }
}

pub unsafe extern "C" fn datagram_send(host: *const Host, target: Str, payload: Bytes) -> i32 {
    let call = whole("target", target, MAX_TARGET).and_then(|target| {
        let payload = whole_bytes("datagram", payload, MAX_DATAGRAM)?;
        Ok(HostCall::DatagramSend { target, payload })
    });
    // SAFETY: the plugin passes the table it was given.
    unsafe { ask(host, call, done) }
}

pub unsafe extern "C" fn datagram_receive(
    host: *const Host,
    target: Str,
    timeout_ms: u32,
    payload: *mut Buffer,
) -> i32 {
    let call = whole("target", target, MAX_TARGET).map(|target| HostCall::DatagramReceive { target, timeout_ms });
    let take = |answered: Answered| {
        let HostReply::Datagram(bytes) = answered.reply else { return Err(out_of_turn()) };
        // SAFETY: the plugin passes a buffer as the header says.
        unsafe { fill(payload, &bytes) };
        Ok(())
    };
    // SAFETY: the plugin passes the table it was given.
    unsafe { ask(host, call, take) }
}

pub unsafe extern "C" fn midi_send(host: *const Host, port: Str, message: Bytes) -> i32 {
    let call = whole("port's name", port, MAX_TARGET).and_then(|port| {
        let message = whole_bytes("MIDI message", message, MAX_MIDI)?;
        Ok(HostCall::MidiSend { port, message })
    });
    // SAFETY: the plugin passes the table it was given.
    unsafe { ask(host, call, done) }
}

pub unsafe extern "C" fn run(
    host: *const Host,
    program: Str,
    arguments: *const Str,
    argument_count: usize,
    timeout_ms: u32,
    output: *mut Output,
) -> i32 {
    let call = whole("program's name", program, MAX_TARGET).and_then(|program| {
        // SAFETY: the plugin says so many arguments are there.
        let arguments = unsafe { texts(arguments, argument_count) }?;
        Ok(HostCall::Run { program, arguments, timeout_ms: longest_for_0(timeout_ms) })
    });
    let take = |answered: Answered| {
        let HostReply::Ran { code, stdout, stderr } = answered.reply else { return Err(out_of_turn()) };
        // SAFETY: the plugin passes null or an output as the header says.
        let Some(output) = (unsafe { output.as_mut() }) else { return Ok(()) };
        if (output.struct_size as usize) < size_of::<Output>() {
            return Err(invalid("the output's struct_size is too small"));
        }
        output.exit_code = code;
        // SAFETY: as above.
        unsafe {
            fill(&raw mut output.out, &stdout);
            fill(&raw mut output.err, &stderr);
        }
        Ok(())
    };
    // SAFETY: the plugin passes the table it was given.
    unsafe { ask(host, call, take) }
}

/// # Safety
/// `count` arguments lie at `arguments`, or it is null and there are none.
unsafe fn texts(arguments: *const Str, count: usize) -> Result<Vec<String>, HostRefusal> {
    if count > MAX_ARGUMENTS {
        return Err(invalid(format!("{count} arguments; {MAX_ARGUMENTS} are the most")));
    }
    if arguments.is_null() || count == 0 {
        return Ok(Vec::new());
    }
    let mut room = MAX_ARGUMENT_BYTES;
    // SAFETY: as the caller promises.
    let arguments = unsafe { std::slice::from_raw_parts(arguments, count) };
    let text = |argument: &Str| {
        let text = whole("arguments", *argument, room)?;
        room -= text.len();
        Ok(text)
    };
    arguments.iter().map(text).collect()
}

pub unsafe extern "C" fn keystroke(host: *const Host, keys: Str) -> i32 {
    // SAFETY: the plugin passes the table it was given.
    unsafe { ask(host, whole("keystroke", keys, MAX_TEXT).map(HostCall::Keystroke), done) }
}

pub unsafe extern "C" fn type_text(host: *const Host, text: Str) -> i32 {
    // SAFETY: the plugin passes the table it was given.
    unsafe { ask(host, whole("text", text, MAX_TEXT).map(HostCall::Text), done) }
}

pub unsafe extern "C" fn mouse(host: *const Host, what: i32, x: i32, y: i32) -> i32 {
    let far = |_| invalid("the mouse is moved or turned too far");
    let call = match what {
        MOUSE_MOVE => i16::try_from(x).and_then(|dx| Ok(Mouse::Move { dx, dy: i16::try_from(y)? })).map_err(far),
        MOUSE_SCROLL => i8::try_from(x).and_then(|dx| Ok(Mouse::Scroll { dx, dy: i8::try_from(y)? })).map_err(far),
        MOUSE_LEFT => Ok(Mouse::Click(MouseButton::Left)),
        MOUSE_MIDDLE => Ok(Mouse::Click(MouseButton::Middle)),
        MOUSE_RIGHT => Ok(Mouse::Click(MouseButton::Right)),
        _ => Err(invalid(format!("{what} is no MIDIMON_MOUSE_*"))),
    };
    // SAFETY: the plugin passes the table it was given.
    unsafe { ask(host, call.map(HostCall::Mouse), done) }
}

pub unsafe extern "C" fn system_control(host: *const Host, what: i32) -> i32 {
    let control = usize::try_from(what).ok().and_then(|what| SystemControl::ALL.get(what.checked_sub(1)?));
    let call = control.ok_or_else(|| invalid(format!("{what} is no MIDIMON_SYSTEM_*")));
    // SAFETY: the plugin passes the table it was given.
    unsafe { ask(host, call.map(|&control| HostCall::System(control)), done) }
}

pub unsafe extern "C" fn notify(host: *const Host, title: Str, body: Str) -> i32 {
    let call = whole("title", title, MAX_TITLE).and_then(|title| {
        let body = whole("body", body, MAX_TEXT)?;
        Ok(HostCall::Notify { title, body })
    });
    // SAFETY: the plugin passes the table it was given.
    unsafe { ask(host, call, done) }
}
