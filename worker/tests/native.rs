//! `midimon-worker` with plugins in plain C, driven over its real channel.

mod support;

use midimon_shared::context::TriggerKind;
use midimon_shared::midi::ChannelMessage;
use midimon_shared::protocol::*;
use midimon_shared::{Command, Event, WorkerExit};
use std::os::fd::OwnedFd;
use support::plugins::{library, library_with, plugin};
use support::*;

fn ready(code: &[u8]) -> Worker {
    Worker::ready(NATIVE, load(CodeKind::Native, limits()), &sealed_memfd(code))
}

fn load_error(code: &[u8]) -> String {
    let mut worker = Worker::spawn(NATIVE);
    let message = match worker.load(load(CodeKind::Native, limits()), &sealed_memfd(code)) {
        Event::LoadFailed { message } => message,
        other => panic!("{other:?} instead of LoadFailed"),
    };
    assert_eq!(worker.exit().0, Some(WorkerExit::Load));
    message
}

#[test]
fn a_c_plugin_is_described_called_with_its_context_and_shut_down() {
    let handle = r#"
    char buffer[512];
    const midimon_context *c = call->context;
    snprintf(buffer, sizeof buffer, "%.*s|%.*s|%zu:%.*s=%.*s|%d %d %.*s %.*s %u|%llu|%02x %02x %02x %d",
        (int)call->action.len, call->action.data, (int)call->params_json.len, call->params_json.data,
        call->parameter_count, (int)call->parameters[0].name.len, call->parameters[0].name.data,
        (int)call->parameters[0].value.len, call->parameters[0].value.data,
        (int)c->velocity, (int)c->current_mode, (int)c->mode_name.len, c->mode_name.data,
        (int)c->device.len, c->device.data, c->trigger, (unsigned long long)c->timestamp_ms,
        c->message[0], c->message[1], c->message[2], c->message_len);
    host->answer(host, text(buffer));"#;
    let mut worker = Worker::spawn(NATIVE);
    let code = sealed_memfd(&plugin("context", "", "", handle));
    let expected = Ready { name: "Test".into(), version: "1.2.3".into(), description: "what it is for".into() };
    assert_eq!(worker.load(load(CodeKind::Native, limits()), &code), Event::Ready(expected));
    worker.send(&Command::Names(Names { kind: NameKind::Mode, first: 0, names: vec!["A".into(), "Live".into()] }));
    worker.send(&Command::Names(Names { kind: NameKind::Device, first: 0, names: vec!["pads".into()] }));
    worker.bind(0, "play", r#"{"playlist":"Coding","n":2}"#, 1000);
    let stamp = midimon_shared::context::TriggerStamp {
        velocity: Some(99),
        mode: Some(1),
        device: Some(0),
        unix_ms: 1_700_000_000_123,
        kind: TriggerKind::NotePress,
        message: ChannelMessage::from_bytes([0x90, 60, 99]),
        ..stamp()
    };
    let expected = r#"play|{"playlist":"Coding","n":2}|2:playlist=Coding|99 1 Live pads 1|1700000000123|90 3c 63 3"#;
    assert_eq!(worker.call(stamp), Outcome::Answer(expected.into()));
    worker.send(&Command::Shutdown);
    let (exit, log) = worker.end();
    assert_eq!((exit, log.as_str()), (Some(WorkerExit::Done), "[info] shutdown was called\n"));
}

#[test]
fn what_the_supervisor_does_not_know_arrives_as_nothing() {
    let handle = r#"
    const midimon_context *c = call->context;
    if (c->velocity == -1 && c->current_mode == -1 && c->mode_name.len == 0 && c->device.len == 0 &&
        c->message_len == 0 && call->parameter_count == 0 && call->params_json.len == 2) return MIDIMON_OK;
    return 9;"#;
    let mut worker = ready(&plugin("nothing", "", "", handle));
    worker.bind(0, "play", "", 1000);
    assert_eq!(worker.call(stamp()), Outcome::Ok);
}

#[test]
fn a_failure_carries_the_plugins_own_code_and_words() {
    let handle = r#"
    host->answer(host, text("this answer belongs to a failed call"));
    host->fail(host, text("first"));
    if (call->parameter_count) host->fail(host, text("no such scene"));
    return call->parameter_count ? -42 : MIDIMON_OK;"#;
    let mut worker = ready(&plugin("failure", "", "", handle));
    worker.bind(0, "a", r#"{"x":1}"#, 1000);
    assert_eq!(worker.call(stamp()), Outcome::Failed { code: -42, message: "no such scene".into() });
    worker.bind(0, "a", "{}", 1000);
    let answer = Outcome::Answer("this answer belongs to a failed call".into());
    assert_eq!(worker.call(stamp()), answer);
}

#[test]
fn texts_of_a_plugin_are_cut_and_made_utf8() {
    let handle = r#"
    char *large = malloc(100000);
    midimon_str str;
    memset(large, 'x', 100000);
    large[0] = (char)0xff;
    str.data = large;
    str.len = 100000;
    host->answer(host, str);
    host->log(host, MIDIMON_LOG_ERROR, text("one\ntwo"));
    free(large);"#;
    let mut worker = ready(&plugin("texts", "", "", handle));
    worker.bind(0, "a", "", 1000);
    match worker.call(stamp()) {
        Outcome::Answer(answer) => {
            assert!(answer.len() <= 4096 && answer.starts_with("\u{fffd}xxx"), "{}", answer.len());
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(worker.end().1, "[error] one\n[error] two\n");
}

#[test]
fn an_answer_from_another_thread_or_outside_a_call_is_no_answer() {
    let globals = r#"#include <pthread.h>
static void *other(void *unused) { (void)unused; host->answer(host, text("other")); return NULL; }"#;
    let handle = "pthread_t t; pthread_create(&t, NULL, other, NULL); pthread_join(t, NULL);";
    let init = r#"host->answer(host, text("in init"));"#;
    let mut worker = ready(&plugin("threads", globals, init, handle));
    worker.bind(0, "a", "", 1000);
    assert_eq!(worker.call(stamp()), Outcome::Ok);
}

#[test]
fn an_init_that_fails_says_why() {
    let code = plugin("init_fails", "", r#"host->fail(host, text("no licence")); if (host) return 3;"#, "");
    assert_eq!(load_error(&code), "its init failed with code 3: no licence");
}

#[test]
fn files_that_are_no_plugin_are_named_by_cause() {
    let good = plugin("good", "", "", "puts(getenv(\"NOTHING\") ? \"a\" : \"b\");");
    for length in [64, good.len() / 2] {
        let error = load_error(&good[..length]);
        assert!(
            error.starts_with("it is cut short: ") && error.ends_with(&format!("the file has {length}")),
            "{error}"
        );
    }
    assert_eq!(load_error(b"\0asm\x01\0\0\0"), "it is not an ELF file: it is WebAssembly, name it .wasm");
    assert_eq!(load_error(&[b'x'; 4096]), "it is not an ELF file");
    let mut damaged = good.clone();
    let dynamic = damaged.windows(16).position(|bytes| bytes.starts_with(b"libc.so.6\0")).unwrap();
    damaged[dynamic..dynamic + 4].copy_from_slice(b"nope");
    let error = load_error(&damaged);
    assert!(error.starts_with("it cannot be loaded as a shared library: nope.so.6: cannot open"), "{error}");
    let other = library("no_symbol", "int answer(void); int answer(void) { return 42; }");
    assert!(load_error(&other).contains("does not export `midimon_plugin_v1`"));
}

#[test]
fn a_library_that_the_linker_made_unsafe_is_refused_with_the_way_to_make_it_safe() {
    let plain = "int answer(void); int answer(void) { return 42; }";
    let error = |name: &str, source: &str, flags: &[&str]| load_error(&library_with(name, source, flags));
    let stack = error("stack", plain, &["-z", "execstack"]);
    assert!(stack.starts_with("it wants an executable stack: link it with `-z noexecstack`"), "{stack}");
    let both = r#"__asm__(".section .both,\"awx\",@progbits\n.byte 0xc3\n.text\n"); int answer(void); int answer(void) { return 42; }"#;
    let both = error("both", both, &["-Wl,--no-warn-rwx-segments"]);
    assert!(both.starts_with("a segment of it is both writable and executable"), "{both}");
    let path = error("path", plain, &["-Wl,-rpath,/opt/lib,--enable-new-dtags"]);
    assert!(path.contains("(DT_RUNPATH)") && path.contains("patchelf --remove-rpath"), "{path}");
    let old = error("old_path", plain, &["-Wl,-rpath,/opt/lib,--disable-new-dtags"]);
    assert!(old.contains("(DT_RPATH)"), "{old}");
    let audit = error("audit", plain, &["-Wl,--audit,/opt/lib/audit.so"]);
    assert!(audit.contains("(DT_AUDIT)"), "{audit}");
    assert!(error("plain", plain, &[]).contains("does not export"), "the control: it is loaded");
}

#[test]
fn tables_of_another_version_are_refused_with_both_numbers() {
    let table = |name: &str, table: &str| {
        let source = format!(
            "#include \"midimon_plugin.h\"\nMIDIMON_EXPORT const midimon_plugin *midimon_plugin_v1(void) {{ {table} }}"
        );
        load_error(&library(name, &source))
    };
    let error = table("v7", "static const midimon_plugin p = {7, sizeof p, 0, 0, 0, 0}; return &p;");
    assert_eq!(error, "it speaks version 7 of the plugin interface, this midimon speaks version 1");
    let error = table("small", "static const midimon_plugin p = {1, 16, 0, 0, 0, 0}; return &p;");
    assert!(error.contains("its table has 16 bytes, version 1 needs 40"), "{error}");
    let error = table("empty", "static const midimon_plugin p = {1, sizeof p, 0, 0, 0, 0}; return &p;");
    assert_eq!(error, "its table has no `describe` function");
    assert!(table("null", "return 0;").contains("returned NULL"));
}

#[test]
fn old_triggers_are_dropped_but_not_the_release_of_a_delivered_press() {
    let mut worker = ready(&plugin("old", "", "", ""));
    worker.bind(0, "a", "", 1000);
    let old = midimon_shared::context::TriggerStamp { monotonic_ns: monotonic_ns() - 300_000_000, ..stamp() };
    worker.trigger(1, 0, old);
    assert_eq!(worker.next(), Some(Event::Dropped { call: CallId(1) }));
    let release = midimon_shared::context::TriggerStamp {
        kind: TriggerKind::NoteRelease,
        message: ChannelMessage::from_bytes([0x80, 60, 0]),
        ..old
    };
    worker.trigger(2, 0, release);
    assert_eq!(worker.next(), Some(Event::Done { call: CallId(2), outcome: Outcome::Ok }));
}

#[test]
fn pings_are_answered_and_unknown_bindings_fail_their_call() {
    let mut worker = ready(&plugin("ping", "", "", ""));
    worker.send(&Command::Ping { nonce: 77 });
    assert_eq!(worker.next(), Some(Event::Pong { nonce: 77 }));
    worker.trigger(3, 5, stamp());
    match worker.next() {
        Some(Event::Done { call: CallId(3), outcome: Outcome::Failed { code: -1, message } }) => {
            assert!(message.contains("never bound"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_end_of_the_command_pipe_ends_the_worker() {
    let mut worker = ready(&plugin("eof", "", "", ""));
    assert_eq!(worker.end(), (Some(WorkerExit::Done), String::new()), "without calling shutdown");
}

#[test]
fn garbage_and_misplaced_commands_end_the_worker_with_their_own_exit() {
    let mut worker = Worker::spawn(NATIVE);
    worker.expect_hello();
    worker.send(&Command::Ping { nonce: 1 });
    assert_eq!(worker.exit().0, Some(WorkerExit::Channel));

    let mut worker = ready(&plugin("garbage", "", "", ""));
    worker.commands.as_ref().unwrap().write_frames(&[3, 0, 0, 0, 0xFF, 0xFF, 0xFF]).unwrap();
    assert_eq!(worker.end().0, Some(WorkerExit::Channel));

    let mut worker = Worker::spawn(NATIVE);
    let other = Load { plugin: "other".parse().unwrap(), ..load(CodeKind::Native, limits()) };
    worker.expect_hello();
    worker.send(&Command::Load(other));
    assert_eq!(worker.exit().0, Some(WorkerExit::Channel));
}

#[test]
fn code_that_is_not_one_sealed_memfd_is_refused() {
    let code = sealed_memfd(b"x");
    let unsealed: OwnedFd =
        nix::sys::memfd::memfd_create("code", nix::sys::memfd::MFdFlags::MFD_ALLOW_SEALING).unwrap();
    let cases: [&[&OwnedFd]; 4] = [&[], &[&code, &code], &[&unsealed], &[&null()]];
    for fds in cases {
        let mut worker = Worker::spawn(NATIVE);
        worker.expect_hello();
        worker.send(&Command::Load(load(CodeKind::Native, limits())));
        worker.send_descriptors(fds);
        assert_eq!(worker.exit().0, Some(WorkerExit::Code), "{} descriptors", fds.len());
    }
}

#[test]
fn the_header_and_its_rust_mirror_have_one_layout() {
    use midimon_shared::abi::*;
    use std::mem::{offset_of, size_of};
    let fields = [
        ("midimon_str", "len", offset_of!(Str, len), size_of::<Str>()),
        ("midimon_host", "log", offset_of!(Host, log), size_of::<Host>()),
        ("midimon_host", "data_dir", offset_of!(Host, data_dir), size_of::<Host>()),
        ("midimon_host", "answer", offset_of!(Host, answer), size_of::<Host>()),
        ("midimon_host", "fail", offset_of!(Host, fail), size_of::<Host>()),
        ("midimon_host", "refusal", offset_of!(Host, refusal), size_of::<Host>()),
        ("midimon_host", "connect", offset_of!(Host, connect), size_of::<Host>()),
        ("midimon_host", "datagram_send", offset_of!(Host, datagram_send), size_of::<Host>()),
        ("midimon_host", "datagram_receive", offset_of!(Host, datagram_receive), size_of::<Host>()),
        ("midimon_host", "midi_send", offset_of!(Host, midi_send), size_of::<Host>()),
        ("midimon_host", "run", offset_of!(Host, run), size_of::<Host>()),
        ("midimon_host", "keystroke", offset_of!(Host, keystroke), size_of::<Host>()),
        ("midimon_host", "type_text", offset_of!(Host, type_text), size_of::<Host>()),
        ("midimon_host", "mouse", offset_of!(Host, mouse), size_of::<Host>()),
        ("midimon_host", "system_control", offset_of!(Host, system_control), size_of::<Host>()),
        ("midimon_host", "notify", offset_of!(Host, notify), size_of::<Host>()),
        ("midimon_host", "emit", offset_of!(Host, emit), size_of::<Host>()),
        ("midimon_host", "set_light", offset_of!(Host, set_light), size_of::<Host>()),
        ("midimon_host", "set_mode", offset_of!(Host, set_mode), size_of::<Host>()),
        ("midimon_host", "after", offset_of!(Host, after), size_of::<Host>()),
        ("midimon_host", "every", offset_of!(Host, every), size_of::<Host>()),
        ("midimon_host", "cancel", offset_of!(Host, cancel), size_of::<Host>()),
        ("midimon_host", "usage", offset_of!(Host, usage), size_of::<Host>()),
        ("midimon_host", "tls_roots", offset_of!(Host, tls_roots), size_of::<Host>()),
        ("midimon_usage", "used_bytes", offset_of!(Usage, used_bytes), size_of::<Usage>()),
        ("midimon_usage", "max_files", offset_of!(Usage, max_files), size_of::<Usage>()),
        ("midimon_bytes", "len", offset_of!(Bytes, len), size_of::<Bytes>()),
        ("midimon_buffer", "len", offset_of!(Buffer, len), size_of::<Buffer>()),
        ("midimon_output", "err", offset_of!(Output, err), size_of::<Output>()),
        ("midimon_metadata", "name", offset_of!(Metadata, name), size_of::<Metadata>()),
        ("midimon_metadata", "description", offset_of!(Metadata, description), size_of::<Metadata>()),
        ("midimon_context", "trigger", offset_of!(Context, trigger), size_of::<Context>()),
        ("midimon_context", "current_mode", offset_of!(Context, current_mode), size_of::<Context>()),
        ("midimon_context", "monotonic_ns", offset_of!(Context, monotonic_ns), size_of::<Context>()),
        ("midimon_context", "device", offset_of!(Context, device), size_of::<Context>()),
        ("midimon_context", "message", offset_of!(Context, message), size_of::<Context>()),
        ("midimon_context", "message_len", offset_of!(Context, message_len), size_of::<Context>()),
        ("midimon_parameter", "value", offset_of!(Parameter, value), size_of::<Parameter>()),
        ("midimon_call", "params_json", offset_of!(Call, params_json), size_of::<Call>()),
        ("midimon_call", "parameter_count", offset_of!(Call, parameter_count), size_of::<Call>()),
        ("midimon_call", "context", offset_of!(Call, context), size_of::<Call>()),
        ("midimon_plugin", "describe", offset_of!(Plugin, describe), size_of::<Plugin>()),
        ("midimon_plugin", "init", offset_of!(Plugin, init), size_of::<Plugin>()),
        ("midimon_plugin", "handle", offset_of!(Plugin, handle), size_of::<Plugin>()),
        ("midimon_plugin", "shutdown", offset_of!(Plugin, shutdown), size_of::<Plugin>()),
    ];
    let checks: Vec<_> = fields
        .iter()
        .map(|(name, field, offset, size)| {
            format!("check(offsetof({name}, {field}) == {offset} && sizeof({name}) == {size});")
        })
        .collect();
    let handle =
        format!("int count = 0;\n#define check(x) if (!(x)) return __LINE__; else count++\n{}", checks.join("\n"));
    let mut worker = ready(&plugin("layout", "", "", &format!("{handle}\nif (count != {}) return -1;", fields.len())));
    worker.bind(0, "a", "", 1000);
    assert_eq!(worker.call(stamp()), Outcome::Ok);
}
