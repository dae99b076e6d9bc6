//! A plugin driven through its C table, as midimon does it.

#![allow(clippy::undocumented_unsafe_blocks)] // the test keeps the promises of the header by playing both sides

use midimon_plugin::{Context, Error, Host, Level, Metadata, Outcome, Params, Plugin, Table, Trigger, ffi};
use std::cell::RefCell;
use std::ptr;

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
                params.text("scene"),
                context.velocity,
                context.current_mode,
                context.mode_name,
                context.device,
                context.note(),
                context.channel(),
                params.parse::<Fade>()?.fade,
            ))),
            "where" => Ok(Outcome::answer(format!("{:?}", self.host.and_then(|host| host.data_dir())))),
            "panic" => panic!("call {}", self.calls),
            "quiet" if context.trigger == Trigger::Manual => Ok(Outcome::ok()),
            _ => Err(Error::unknown_action(action)),
        }
    }
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

static HOST: ffi::Host = ffi::Host {
    struct_size: size_of::<ffi::Host>() as u32,
    abi_version: ffi::ABI_VERSION,
    log,
    data_dir,
    answer,
    fail,
};

const TABLE: ffi::Plugin = Table::<Probe>::TABLE;

fn start() -> *mut std::ffi::c_void {
    let mut state = ptr::null_mut();
    assert_eq!(unsafe { (TABLE.init)(&HOST, ffi::Str::new("{}"), &mut state) }, ffi::OK);
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
