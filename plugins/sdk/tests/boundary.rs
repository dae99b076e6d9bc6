//! A plugin driven through its C table, as midimon does it.

#![allow(clippy::undocumented_unsafe_blocks)] // the test keeps the promises of the header by playing both sides

use midimon_plugin::{
    Context, Error, Host, HostError, Level, Light, Metadata, Mouse, Outcome, Params, Plugin, System, Table, Trigger,
    ffi,
};
use std::cell::RefCell;
use std::io::{Read, Write};
use std::os::fd::IntoRawFd;
use std::ptr;
use std::time::Duration;

#[derive(Default)]
struct Probe {
    host: Option<Host>,
    calls: u32,
}

#[derive(serde::Deserialize)]
struct Fade {
    #[serde(default)]
    fade: f64,
}

impl Plugin for Probe {
    fn describe() -> Metadata {
        Metadata { name: "Probe", version: "1.2.3", description: "Shows what it is told" }
    }

    fn init(&mut self, host: Host, settings: &Params<'_>) -> Result<(), Error> {
        if settings.json() == r#"{"refuse":true}"# {
            return Err(Error::new("will not").with_code(7));
        }
        host.log(Level::Info, "started");
        self.host = Some(host);
        Ok(())
    }

    fn handle(&mut self, action: &str, params: &Params<'_>, context: &Context<'_>) -> Result<Outcome, Error> {
        self.calls += 1;
        match action {
            "tell" => Ok(Outcome::answer(format!(
                "{} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {}",
                self.calls,
                params.text("scene").as_deref(),
                context.velocity,
                context.current_mode,
                context.mode_name().as_deref(),
                context.device().as_deref(),
                context.note(),
                context.channel(),
                params.parse::<Fade>()?.fade,
            ))),
            "where" => Ok(Outcome::answer(format!("{:?}", self.host.and_then(|host| host.data_dir())))),
            "ask" => Ok(Outcome::answer(self.host.map_or(String::new(), ask))),
            "services" => Ok(Outcome::answer(self.host.map_or(String::new(), services))),
            "panic" => panic!("call {}", self.calls),
            "quiet" if context.trigger == Trigger::Manual => Ok(Outcome::ok()),
            _ => Err(Error::unknown_action(action)),
        }
    }
}

fn ask(host: Host) -> String {
    let mut said = Vec::new();
    let timeout = Duration::from_millis(1500);
    match host.connect("granted:1", timeout) {
        Ok(mut stream) => {
            let mut bytes = [0; 5];
            stream.read_exact(&mut bytes).unwrap();
            said.push(String::from_utf8_lossy(&bytes).into_owned());
        }
        Err(error) => return format!("{:?}: {error}", error.kind()),
    }
    said.push(format!("{:?}", host.connect("other:1", timeout).unwrap_err()));
    said.push(format!("{:?}", host.datagram_send("a:1", b"xyz")));
    said.push(format!("{:?}", host.datagram_receive("a:1", timeout).map(|bytes| bytes.len())));
    said.push(format!("{:?}", host.midi_send("p", &[0x90, 1, 1]).map_err(|error| error.kind())));
    let ran = host.run("tool", &["a", "b c"], timeout).unwrap();
    said.push(format!("{} {} {}", ran.code, String::from_utf8_lossy(&ran.stdout), ran.stderr.len()));
    said.push(format!("{:?}", host.keystroke("a").map_err(|error| error.kind())));
    said.push(format!("{:?}", host.mouse(Mouse::Scroll(-1, 2))));
    said.push(format!("{:?}", host.system(System::BrightnessDown)));
    said.push(format!("{:?}", host.system(System::Mute).map_err(|error| error.kind())));
    said.push(format!("{:?}", host.notify("t", "b")));
    said.join("; ")
}

fn services(host: Host) -> String {
    let kind = |result: Result<(), HostError>| format!("{:?}", result.map_err(|error| error.kind()));
    let second = Duration::from_secs(1);
    let said = [
        kind(host.emit("scene", "Live")),
        kind(host.emit("", "")),
        kind(host.set_light("pad", 1, Light::Control(20), 127)),
        kind(host.set_light("pad", 1, Light::Note(20), 127)),
        kind(host.set_mode("Live")),
        kind(host.after(7, Duration::from_millis(1500), "poll", "{}")),
        kind(host.every(7, second, "poll", "{}")),
        kind(host.cancel(7)),
        format!("{:?}", host.usage().map_err(|error| error.kind())),
        format!("{:?}", host.tls_roots().map_err(|error| error.kind())),
    ];
    said.join("; ")
}

#[derive(Default, Debug)]
struct Said {
    log: Vec<(i32, String)>,
    answer: Option<String>,
    fail: Option<String>,
}

thread_local!(static SAID: RefCell<Said> = RefCell::default());

fn said() -> Said {
    SAID.take()
}

unsafe extern "C" fn log(_: *const ffi::Host, level: i32, message: ffi::Str) {
    let message = unsafe { message.get() }.to_owned();
    SAID.with_borrow_mut(|said| said.log.push((level, message)));
}
unsafe extern "C" fn data_dir(_: *const ffi::Host) -> ffi::Str {
    ffi::Str::new("/data")
}
unsafe extern "C" fn answer(_: *const ffi::Host, text: ffi::Str) {
    let text = unsafe { text.get() }.to_owned();
    SAID.with_borrow_mut(|said| said.answer = Some(text));
}
unsafe extern "C" fn fail(_: *const ffi::Host, message: ffi::Str) {
    let message = unsafe { message.get() }.to_owned();
    SAID.with_borrow_mut(|said| said.fail = Some(message));
}

unsafe extern "C" fn refusal(_: *const ffi::Host) -> ffi::Str {
    ffi::Str::new("not here")
}
unsafe extern "C" fn connect(_: *const ffi::Host, target: ffi::Str, timeout_ms: u32, socket: *mut i32) -> i32 {
    if unsafe { target.get() } != "granted:1" || timeout_ms != 1500 {
        return ffi::E_NOT_GRANTED;
    }
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    std::thread::spawn(move || (&ours).write_all(b"hello").unwrap());
    unsafe { *socket = theirs.into_raw_fd() };
    ffi::OK
}
unsafe extern "C" fn datagram_send(_: *const ffi::Host, _: ffi::Str, payload: ffi::Bytes) -> i32 {
    if payload.len == 3 { ffi::OK } else { ffi::E_INVALID }
}
unsafe extern "C" fn datagram_receive(_: *const ffi::Host, _: ffi::Str, _: u32, payload: *mut ffi::Buffer) -> i32 {
    let payload = unsafe { &mut *payload };
    unsafe { payload.data.copy_from(b"pong".as_ptr(), 4) };
    payload.len = 4;
    ffi::OK
}
unsafe extern "C" fn midi_send(_: *const ffi::Host, _: ffi::Str, _: ffi::Bytes) -> i32 {
    ffi::E_TOO_MANY
}
unsafe extern "C" fn run(
    _: *const ffi::Host,
    program: ffi::Str,
    arguments: *const ffi::Str,
    count: usize,
    _: u32,
    output: *mut ffi::Output,
) -> i32 {
    let arguments = unsafe { std::slice::from_raw_parts(arguments, count) };
    let words: Vec<&str> = [program].iter().chain(arguments).map(|text| unsafe { text.get() }).collect();
    let said = words.join(" ");
    let output = unsafe { &mut *output };
    output.exit_code = 3;
    unsafe { output.out.data.copy_from(said.as_ptr(), said.len()) };
    output.out.len = said.len();
    ffi::OK
}
unsafe extern "C" fn text_alone(_: *const ffi::Host, _: ffi::Str) -> i32 {
    ffi::E_TIMED_OUT
}
unsafe extern "C" fn mouse(_: *const ffi::Host, what: i32, x: i32, y: i32) -> i32 {
    if (what, x, y) == (ffi::MOUSE_SCROLL, -1, 2) { ffi::OK } else { ffi::E_FAILED }
}
unsafe extern "C" fn system_control(_: *const ffi::Host, what: i32) -> i32 {
    if what == 9 { ffi::OK } else { -9999 }
}
unsafe extern "C" fn notify(_: *const ffi::Host, _: ffi::Str, _: ffi::Str) -> i32 {
    ffi::OK
}

unsafe extern "C" fn emit(_: *const ffi::Host, event: ffi::Str, value: ffi::Str) -> i32 {
    if unsafe { (event.get(), value.get()) } == ("scene", "Live") { ffi::OK } else { ffi::E_INVALID }
}
unsafe extern "C" fn set_light(_: *const ffi::Host, device: ffi::Str, channel: i32, kind: i32, n: i32, v: i32) -> i32 {
    let is_it = unsafe { device.get() } == "pad" && (channel, kind, n, v) == (1, ffi::LIGHT_CONTROL, 20, 127);
    if is_it { ffi::OK } else { ffi::E_FAILED }
}
unsafe extern "C" fn after(_: *const ffi::Host, id: u32, ms: u32, action: ffi::Str, params: ffi::Str) -> i32 {
    let is_it = (id, ms) == (7, 1500) && unsafe { (action.get(), params.get()) } == ("poll", "{}");
    if is_it { ffi::OK } else { ffi::E_FAILED }
}
unsafe extern "C" fn every(_: *const ffi::Host, _: u32, _: u32, _: ffi::Str, _: ffi::Str) -> i32 {
    ffi::E_TOO_MANY
}
unsafe extern "C" fn cancel(_: *const ffi::Host, id: u32) -> i32 {
    if id == 7 { ffi::OK } else { ffi::E_FAILED }
}
unsafe extern "C" fn usage(_: *const ffi::Host, usage: *mut ffi::Usage) -> i32 {
    let usage = unsafe { &mut *usage };
    assert_eq!(usage.struct_size as usize, size_of::<ffi::Usage>());
    (usage.used_bytes, usage.max_bytes, usage.used_files, usage.max_files) = (1, 2, 3, 4);
    ffi::OK
}
unsafe extern "C" fn tls_roots(_: *const ffi::Host, descriptor: *mut i32) -> i32 {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    (&ours).write_all(&[3, 0, 0, 0, b'd', b'e', b'r']).unwrap();
    unsafe { *descriptor = theirs.into_raw_fd() };
    ffi::OK
}

static HOST: ffi::Host = ffi::Host {
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
    keystroke: text_alone,
    type_text: text_alone,
    mouse,
    system_control,
    notify,
    emit,
    set_light,
    set_mode: text_alone,
    after,
    every,
    cancel,
    usage,
    tls_roots,
};

/// As the next one had it: nothing after `notify` may be read.
static OLDER_HOST: ffi::Host = ffi::Host { struct_size: std::mem::offset_of!(ffi::Host, emit) as u32, ..HOST };
/// As midimon 0.1.0 had it: nothing after `fail` may be read.
static OLD_HOST: ffi::Host = ffi::Host { struct_size: std::mem::offset_of!(ffi::Host, refusal) as u32, ..HOST };

const TABLE: ffi::Plugin = Table::<Probe>::TABLE;

fn start() -> *mut std::ffi::c_void {
    start_on(&HOST)
}

fn start_on(host: &'static ffi::Host) -> *mut std::ffi::c_void {
    let mut state = ptr::null_mut();
    assert_eq!(unsafe { (TABLE.init)(host, ffi::Str::new("{}"), &mut state) }, ffi::OK);
    assert!(!state.is_null());
    state
}

fn call(state: *mut std::ffi::c_void, action: &str) -> i32 {
    let context = ffi::Context {
        struct_size: size_of::<ffi::Context>() as u32,
        trigger: 0,
        velocity: 100,
        current_mode: -1,
        timestamp_ms: 1,
        monotonic_ns: 2,
        mode_name: ffi::Str::new("Live"),
        device: ffi::Str::new(""),
        message: [0x91, 60, 100],
        message_len: 3,
        reserved: [0; 4],
    };
    let parameters = [
        ffi::Parameter { name: ffi::Str::new("scene"), value: ffi::Str::new("Größe") },
        ffi::Parameter { name: ffi::Str::new("fade"), value: ffi::Str::new("0.5") },
    ];
    let call = ffi::Call {
        struct_size: size_of::<ffi::Call>() as u32,
        reserved: 0,
        action: ffi::Str::new(action),
        params_json: ffi::Str::new(r#"{"scene":"Größe","fade":0.5}"#),
        parameters: parameters.as_ptr(),
        parameter_count: parameters.len(),
        context: &context,
    };
    unsafe { (TABLE.handle)(state, &call) }
}

#[test]
fn a_plugin_is_told_everything_and_its_answer_arrives() {
    let state = start();
    assert_eq!(said().log, [(3, "started".to_owned())]);
    assert_eq!(call(state, "tell"), ffi::OK);
    let expected = r#"1 Some("Größe") Some(100) None Some("Live") None Some(60) Some(2) 0.5"#;
    assert_eq!(said().answer.as_deref(), Some(expected));
    assert_eq!(call(state, "where"), ffi::OK);
    assert_eq!(said().answer.as_deref(), Some(r#"Some("/data")"#));
    assert_eq!(call(state, "quiet"), ffi::OK);
    assert_eq!(said().answer, None);
    unsafe { (TABLE.shutdown)(state) };
}

#[test]
fn requests_go_through_the_table_and_their_refusals_come_back_as_errors() {
    let state = start();
    assert_eq!(call(state, "ask"), ffi::OK);
    let expected = r#"hello; HostError { kind: NotGranted, message: "not here" }; Ok(()); Ok(4); Err(TooMany); 3 tool a b c 0; Err(TimedOut); Ok(()); Ok(()); Err(Failed); Ok(())"#;
    assert_eq!(said().answer.as_deref(), Some(expected));
    unsafe { (TABLE.shutdown)(state) };
}

#[test]
fn services_go_through_the_table_and_older_midimons_have_none_of_them() {
    let state = start();
    assert_eq!(call(state, "services"), ffi::OK);
    let usage = "Ok(Usage { used_bytes: 1, max_bytes: 2, used_files: 3, max_files: 4 })";
    let expected = format!(
        "Ok(()); Err(Invalid); Ok(()); Err(Failed); Err(TimedOut); Ok(()); Err(TooMany); Ok(()); {usage}; Ok([[100, 101, 114]])"
    );
    assert_eq!(said().answer, Some(expected));
    unsafe { (TABLE.shutdown)(state) };
    for host in [&OLDER_HOST, &OLD_HOST] {
        let state = start_on(host);
        assert_eq!(call(state, "services"), ffi::OK);
        assert_eq!(said().answer, Some(["Err(Unsupported)"; 10].join("; ")));
        unsafe { (TABLE.shutdown)(state) };
    }
    let state = start_on(&OLDER_HOST);
    assert_eq!(call(state, "ask"), ffi::OK);
    assert!(said().answer.unwrap().starts_with("hello; "), "what it has works");
    unsafe { (TABLE.shutdown)(state) };
}

#[test]
fn on_an_older_midimon_a_request_is_an_error_and_the_rest_works() {
    let state = start_on(&OLD_HOST);
    assert_eq!(call(state, "ask"), ffi::OK);
    let words = "Unsupported: this midimon is too old: it cannot do that for plugins";
    assert_eq!(said().answer.as_deref(), Some(words));
    assert_eq!(call(state, "where"), ffi::OK);
    assert_eq!(said().answer.as_deref(), Some(r#"Some("/data")"#));
    unsafe { (TABLE.shutdown)(state) };
}

#[test]
fn an_error_and_a_panic_become_codes_with_words_and_the_plugin_goes_on() {
    let state = start();
    assert_eq!(call(state, "nonsense"), Error::UNKNOWN_ACTION);
    assert_eq!(said().fail.as_deref(), Some("there is no action 'nonsense'"));
    assert_eq!(call(state, "panic"), Error::PANIC);
    assert_eq!(said().fail.as_deref(), Some("the plugin panicked: call 2"));
    assert_eq!(call(state, "quiet"), ffi::OK);
    unsafe { (TABLE.shutdown)(state) };
}

#[test]
fn a_refused_start_gives_its_reason_and_no_state() {
    let mut state = ptr::null_mut();
    let code = unsafe { (TABLE.init)(&HOST, ffi::Str::new(r#"{"refuse":true}"#), &mut state) };
    assert_eq!((code, state.is_null()), (7, true));
    assert_eq!(said().fail.as_deref(), Some("will not"));
}

#[test]
fn what_it_is_arrives_as_text() {
    let empty = ffi::Str { data: ptr::null(), len: 0 };
    let mut metadata = ffi::Metadata {
        struct_size: size_of::<ffi::Metadata>() as u32,
        reserved: 0,
        name: empty,
        version: empty,
        description: empty,
    };
    unsafe { (TABLE.describe)(&mut metadata) };
    let texts = unsafe { [metadata.name.get(), metadata.version.get(), metadata.description.get()] };
    assert_eq!(texts, ["Probe", "1.2.3", "Shows what it is told"]);
}
