//! A midimon that takes notes and answers as the test wants it.

use crate::{Level, Light, Mouse, Ran, Refusal, System, Usage, ffi};
use std::cell::RefCell;
use std::fmt::{self, Debug, Formatter};
use std::net::TcpStream;
use std::os::fd::IntoRawFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Something a plugin asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs)] // each is a function of `Host` with what it was given
pub enum Request {
    Connect { target: String },
    DatagramSend { target: String, payload: Vec<u8> },
    DatagramReceive { target: String },
    MidiSend { port: String, message: Vec<u8> },
    Run { program: String, arguments: Vec<String> },
    Keystroke(String),
    TypeText(String),
    Mouse(Mouse),
    System(System),
    Notify { title: String, body: String },
    Emit { event: String, value: String },
    SetLight { device: String, channel: u8, light: Light, value: u8 },
    SetMode(String),
    After { id: u32, ms: u32, action: String, params: String },
    Every { id: u32, ms: u32, action: String, params: String },
    Cancel(u32),
    Usage,
    TlsRoots,
}

/// What midimon makes of a request.
#[derive(Debug)]
pub enum Answer {
    /// It is done. A program wrote nothing, a datagram is empty, the data directory is too.
    Done,
    /// It is not.
    Refused(Refusal, String),
    /// A program ended like this.
    Ran(Ran),
    /// This datagram came.
    Datagram(Vec<u8>),
    /// The connection is this one: of a listener of the test's own, say.
    Connected(TcpStream),
    /// The data directory is this full.
    Usage(Usage),
}

/// What answers requests.
pub(super) type Answers = Box<dyn FnMut(&Request) -> Answer + Send>;

/// What was noted.
#[derive(Default)]
pub(super) struct Notes {
    pub(super) log: Vec<(Level, String)>,
    pub(super) requests: Vec<Request>,
    pub(super) answer: Option<String>,
    pub(super) fail: Option<String>,
    pub(super) answers: Option<Answers>,
}

impl Debug for Notes {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Notes")
            .field("log", &self.log)
            .field("requests", &self.requests)
            .finish_non_exhaustive()
    }
}

/// A table like midimon's, with the notes behind it.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Recorded {
    table: Functions,
    notes: Mutex<Notes>,
    data_dir: String,
}

/// The table itself, which has nothing to show.
#[repr(transparent)]
struct Functions(ffi::Host);

impl Debug for Functions {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str("midimon_host")
    }
}

thread_local!(static REFUSAL: RefCell<String> = const { RefCell::new(String::new()) });

impl Recorded {
    pub(super) fn new(data_dir: String) -> Self {
        Self { table: Functions(table()), notes: Mutex::default(), data_dir }
    }

    pub(super) const fn table(&self) -> *const ffi::Host {
        std::ptr::from_ref(self).cast()
    }

    pub(super) fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ask(&self, request: Request) -> Result<Answer, i32> {
        let mut notes = self.notes();
        notes.requests.push(request.clone());
        let answer = match &mut notes.answers {
            Some(answers) => answers(&request),
            None if matches!(request, Request::Connect { .. }) => {
                Answer::Refused(Refusal::Failed, "the test has no connection for it".to_owned())
            }
            None => Answer::Done,
        };
        let Answer::Refused(kind, words) = answer else {
            REFUSAL.set(String::new());
            return Ok(answer);
        };
        REFUSAL.set(words);
        Err(match kind {
            Refusal::NotGranted => ffi::E_NOT_GRANTED,
            Refusal::Invalid => ffi::E_INVALID,
            Refusal::TooMany => ffi::E_TOO_MANY,
            Refusal::TimedOut => ffi::E_TIMED_OUT,
            Refusal::Failed | Refusal::Unsupported => ffi::E_FAILED,
        })
    }

    fn done(&self, request: Request) -> i32 {
        self.ask(request).err().unwrap_or(ffi::OK)
    }
}

/// # Safety
/// `host` is the table of a `Recorded` that is never freed.
unsafe fn recorded<'r>(host: *const ffi::Host) -> &'r Recorded {
    // SAFETY: the table is its first field, and the caller promises the rest.
    unsafe { &*host.cast::<Recorded>() }
}

fn owned(text: ffi::Str) -> String {
    // SAFETY: the SDK passes texts that live through the call, in which this is copied.
    unsafe { text.get() }.to_owned()
}

fn copied(bytes: ffi::Bytes) -> Vec<u8> {
    if bytes.len == 0 {
        return Vec::new();
    }
    // SAFETY: the SDK passes bytes that live through the call, in which they are copied.
    unsafe { std::slice::from_raw_parts(bytes.data, bytes.len) }.to_vec()
}

/// Fills as much as there is room for.
fn fill(buffer: &mut ffi::Buffer, bytes: &[u8]) {
    let length = bytes.len().min(buffer.capacity);
    // SAFETY: the SDK passes room for `capacity` bytes.
    unsafe { buffer.data.copy_from_nonoverlapping(bytes.as_ptr(), length) };
    buffer.len = length;
}

macro_rules! functions {
    ($($name:ident($host:ident $(, $argument:ident: $kind:ty)*) -> $result:ty $body:block)*) => {
        $(unsafe extern "C" fn $name($host: *const ffi::Host $(, $argument: $kind)*) -> $result {
            // SAFETY: plugins get the table of a `Recorded`, which is never freed.
            let $host = unsafe { recorded($host) };
            $body
        })*
    };
}

functions! {
    log(host, level: i32, message: ffi::Str) -> () {
        let level = match level {
            1 => Level::Error,
            2 => Level::Warn,
            3 => Level::Info,
            _ => Level::Debug,
        };
        host.notes().log.push((level, owned(message)));
    }
    data_dir(host) -> ffi::Str { ffi::Str::new(&host.data_dir) }
    answer(host, text: ffi::Str) -> () { host.notes().answer = Some(owned(text)); }
    fail(host, message: ffi::Str) -> () { host.notes().fail = Some(owned(message)); }
    refusal(_host) -> ffi::Str { REFUSAL.with_borrow(|words| ffi::Str::new(words)) }
    connect(host, target: ffi::Str, _timeout_ms: u32, socket: *mut i32) -> i32 {
        match host.ask(Request::Connect { target: owned(target) }) {
            Ok(Answer::Connected(stream)) => {
                // SAFETY: the SDK passes a place for the descriptor.
                unsafe { *socket = stream.into_raw_fd() };
                ffi::OK
            }
            Ok(_) => {
                REFUSAL.set("the test has no connection for it".to_owned());
                ffi::E_FAILED
            }
            Err(code) => code,
        }
    }
    datagram_send(host, target: ffi::Str, payload: ffi::Bytes) -> i32 {
        host.done(Request::DatagramSend { target: owned(target), payload: copied(payload) })
    }
    datagram_receive(host, target: ffi::Str, _timeout_ms: u32, payload: *mut ffi::Buffer) -> i32 {
        match host.ask(Request::DatagramReceive { target: owned(target) }) {
            Ok(answer) => {
                let bytes = if let Answer::Datagram(bytes) = answer { bytes } else { Vec::new() };
                // SAFETY: the SDK passes a buffer that lives through the call.
                fill(unsafe { &mut *payload }, &bytes);
                ffi::OK
            }
            Err(code) => code,
        }
    }
    midi_send(host, port: ffi::Str, message: ffi::Bytes) -> i32 {
        host.done(Request::MidiSend { port: owned(port), message: copied(message) })
    }
    run(host, program: ffi::Str, arguments: *const ffi::Str, count: usize, _timeout_ms: u32, output: *mut ffi::Output) -> i32 {
        // SAFETY: the SDK passes that many texts; a vector's pointer is never null.
        let arguments = unsafe { std::slice::from_raw_parts(arguments, count) };
        let arguments = arguments.iter().map(|&argument| owned(argument)).collect();
        match host.ask(Request::Run { program: owned(program), arguments }) {
            Ok(answer) => {
                let ran = if let Answer::Ran(ran) = answer { ran } else { Ran::default() };
                // SAFETY: the SDK passes an output that lives through the call.
                let output = unsafe { &mut *output };
                output.exit_code = ran.code;
                fill(&mut output.out, &ran.stdout);
                fill(&mut output.err, &ran.stderr);
                ffi::OK
            }
            Err(code) => code,
        }
    }
    keystroke(host, keys: ffi::Str) -> i32 { host.done(Request::Keystroke(owned(keys))) }
    type_text(host, text: ffi::Str) -> i32 { host.done(Request::TypeText(owned(text))) }
    mouse(host, what: i32, x: i32, y: i32) -> i32 {
        let mouse = match what {
            // the SDK has made the numbers of an i16 and an i8
            ffi::MOUSE_MOVE => Mouse::Move(x as i16, y as i16),
            ffi::MOUSE_SCROLL => Mouse::Scroll(x as i8, y as i8),
            ffi::MOUSE_LEFT => Mouse::Left,
            ffi::MOUSE_MIDDLE => Mouse::Middle,
            _ => Mouse::Right,
        };
        host.done(Request::Mouse(mouse))
    }
    system_control(host, what: i32) -> i32 {
        let known = System::ALL.into_iter().find(|&system| system as i32 == what);
        known.map_or(ffi::E_INVALID, |system| host.done(Request::System(system)))
    }
    emit(host, event: ffi::Str, value: ffi::Str) -> i32 {
        host.done(Request::Emit { event: owned(event), value: owned(value) })
    }
    set_light(host, device: ffi::Str, channel: i32, light: i32, number: i32, value: i32) -> i32 {
        // the SDK has made all four numbers of a u8
        let (channel, number, value) = (channel as u8, number as u8, value as u8);
        let light = if light == ffi::LIGHT_NOTE { Light::Note(number) } else { Light::Control(number) };
        host.done(Request::SetLight { device: owned(device), channel, light, value })
    }
    set_mode(host, name: ffi::Str) -> i32 { host.done(Request::SetMode(owned(name))) }
    after(host, id: u32, ms: u32, action: ffi::Str, params: ffi::Str) -> i32 {
        host.done(Request::After { id, ms, action: owned(action), params: owned(params) })
    }
    every(host, id: u32, ms: u32, action: ffi::Str, params: ffi::Str) -> i32 {
        host.done(Request::Every { id, ms, action: owned(action), params: owned(params) })
    }
    cancel(host, id: u32) -> i32 { host.done(Request::Cancel(id)) }
    usage(host, usage: *mut ffi::Usage) -> i32 {
        match host.ask(Request::Usage) {
            Ok(answer) => {
                let told = if let Answer::Usage(told) = answer { told } else { Usage::default() };
                // SAFETY: the SDK passes a place that lives through the call.
                let usage = unsafe { &mut *usage };
                (usage.used_bytes, usage.max_bytes) = (told.used_bytes, told.max_bytes);
                (usage.used_files, usage.max_files) = (told.used_files, told.max_files);
                ffi::OK
            }
            Err(code) => code,
        }
    }
    tls_roots(host, _descriptor: *mut i32) -> i32 {
        match host.ask(Request::TlsRoots) {
            Ok(_) => {
                REFUSAL.set("the test has no certificates".to_owned());
                ffi::E_FAILED
            }
            Err(code) => code,
        }
    }
    notify(host, title: ffi::Str, body: ffi::Str) -> i32 {
        host.done(Request::Notify { title: owned(title), body: owned(body) })
    }
}

const fn table() -> ffi::Host {
    ffi::Host {
        struct_size: size_of::<ffi::Host>() as u32,
        abi_version: ffi::ABI_VERSION,
        log,
        data_dir,
        answer,
        fail,
        refusal,
        connect,
        datagram_send,
        datagram_receive,
        midi_send,
        run,
        keystroke,
        type_text,
        mouse,
        system_control,
        notify,
        emit,
        set_light,
        set_mode,
        after,
        every,
        cancel,
        usage,
        tls_roots,
    }
}
