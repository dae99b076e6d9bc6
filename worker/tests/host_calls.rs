//! Requests of a native plugin, with the test in the supervisor's place.

mod support;

use midimon_shared::Event;
use midimon_shared::codec::{self, PREFIX};
use midimon_shared::host::*;
use midimon_shared::protocol::*;
use std::io::{Read, Write};
use support::plugins::plugin;
use support::requests::*;
use support::*;

fn ready(name: &str, globals: &str, handle: &str) -> Worker {
    let worker =
        Worker::ready(NATIVE, load(CodeKind::Native, limits()), &sealed_memfd(&plugin(name, globals, "", handle)));
    worker.bind(0, "a", "", 1000);
    worker.trigger(7, 0, stamp());
    worker
}

fn outcome(worker: &mut Worker) -> Outcome {
    match worker.next() {
        Some(Event::Done { call: CallId(7), outcome }) => outcome,
        other => panic!("{other:?} instead of Done; log: {}", worker.end().1),
    }
}

fn said(text: &str) -> Outcome {
    Outcome::Answer(text.into())
}

#[test]
fn a_connection_arrives_as_a_descriptor_to_read_and_write() {
    let handle = r#"
    int32_t fd = -1;
    char buffer[64];
    ssize_t count;
    if (!MIDIMON_HAS(host, notify) || host->connect(host, text("h:1"), 250, &fd) != MIDIMON_OK) return 1;
    if (write(fd, "ping", 4) != 4) return 2;
    count = read(fd, buffer, sizeof buffer - 1);
    if (count < 0) return 3;
    buffer[count] = 0;
    close(fd);
    host->answer(host, text(buffer));"#;
    let mut worker = ready("connects", "#include <unistd.h>", handle);
    let request = requested(&mut worker);
    assert_eq!(request.call, HostCall::Connect { target: "h:1".into(), timeout_ms: 250 });
    let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    answer(&worker, request.id, Ok(HostReply::Connected), Some(&theirs.into()));
    let mut bytes = [0; 4];
    ours.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"ping");
    ours.write_all(b"pong").unwrap();
    assert_eq!(outcome(&mut worker), said("pong"));
    assert_eq!(ours.read(&mut bytes).unwrap(), 0, "the plugin's was the last copy");
}

#[test]
fn each_refusal_is_its_own_code_and_leaves_its_words() {
    let handle = r#"
    char buffer[256] = "";
    int i;
    for (i = 0; i < 6; i++) {
        char one[64];
        int32_t code = host->notify(host, text("t"), text("b"));
        midimon_str why = host->refusal(host);
        snprintf(one, sizeof one, "%d %.*s|", code, (int)why.len, why.data);
        strcat(buffer, one);
    }
    host->answer(host, text(buffer));"#;
    let mut worker = ready("refusals", "", handle);
    use RefusalKind::*;
    let mut last = 0;
    for kind in [NotGranted, Invalid, TooMany, TimedOut, Failed] {
        let HostRequest { id, call } = requested(&mut worker);
        assert_eq!(call, HostCall::Notify { title: "t".into(), body: "b".into() });
        assert!(id > last);
        last = id;
        refuse(&worker, id, kind, &format!("{kind:?}"));
    }
    let id = requested(&mut worker).id;
    answer(&worker, id, Ok(HostReply::Done), None);
    let words = "-101 NotGranted|-102 Invalid|-103 TooMany|-104 TimedOut|-105 Failed|0 |";
    assert_eq!(outcome(&mut worker), said(words));
}

#[test]
fn everything_a_request_says_and_everything_a_reply_says_arrives() {
    let handle = r#"
    uint8_t room[8], out[4], err[64];
    char buffer[256];
    midimon_bytes bytes;
    midimon_buffer got;
    midimon_str arguments[2];
    midimon_output output;
    bytes.data = (const uint8_t *)"\x90\x3c\x64";
    bytes.len = 3;
    if (host->midi_send(host, text("synth"), bytes)) return 1;
    if (host->datagram_send(host, text("h:2"), bytes)) return 2;
    got.data = room; got.capacity = sizeof room; got.len = 0;
    if (host->datagram_receive(host, text("h:2"), 0, &got)) return 3;
    if (host->keystroke(host, text("ctrl+a")) || host->type_text(host, text("h\xc3\xbc"))) return 4;
    if (host->mouse(host, MIDIMON_MOUSE_MOVE, -5, 300) || host->mouse(host, MIDIMON_MOUSE_SCROLL, 0, -1)
        || host->mouse(host, MIDIMON_MOUSE_RIGHT, 0, 0)) return 5;
    if (host->system_control(host, MIDIMON_SYSTEM_BRIGHTNESS_DOWN)) return 6;
    arguments[0] = text("-n"); arguments[1] = text("a b");
    output.struct_size = sizeof output;
    output.out.data = out; output.out.capacity = sizeof out;
    output.err.data = err; output.err.capacity = sizeof err;
    if (host->run(host, text("tool"), arguments, 2, 0, &output)) return 7;
    if (host->run(host, text("tool"), NULL, 0, 5, NULL)) return 8;
    snprintf(buffer, sizeof buffer, "%zu %.*s %d %zu %.4s %.*s", got.len, (int)got.len, (char *)room,
        output.exit_code, output.out.len, (char *)out, (int)output.err.len, (char *)err);
    host->answer(host, text(buffer));"#;
    let mut worker = ready("everything", "", handle);
    let run = |arguments: &[&str], timeout_ms| HostCall::Run {
        program: "tool".into(),
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
        timeout_ms,
    };
    let ran = |out: &str| HostReply::Ran { code: 3, stdout: out.into(), stderr: b"oops".to_vec() };
    let message = vec![0x90, 60, 100];
    let expected = [
        (HostCall::MidiSend { port: "synth".into(), message: message.clone() }, HostReply::Done),
        (HostCall::DatagramSend { target: "h:2".into(), payload: message }, HostReply::Done),
        (HostCall::DatagramReceive { target: "h:2".into(), timeout_ms: 0 }, HostReply::Datagram(b"pong".to_vec())),
        (HostCall::Keystroke("ctrl+a".into()), HostReply::Done),
        (HostCall::Text("hü".into()), HostReply::Done),
        (HostCall::Mouse(Mouse::Move { dx: -5, dy: 300 }), HostReply::Done),
        (HostCall::Mouse(Mouse::Scroll { dx: 0, dy: -1 }), HostReply::Done),
        (HostCall::Mouse(Mouse::Click(MouseButton::Right)), HostReply::Done),
        (HostCall::System(SystemControl::BrightnessDown), HostReply::Done),
        (run(&["-n", "a b"], MAX_WAIT_MS), ran("output")),
        (run(&[], 5), ran("")),
    ];
    for (call, reply) in expected {
        let request = requested(&mut worker);
        assert_eq!(request.call, call);
        answer(&worker, request.id, Ok(reply), None);
    }
    assert_eq!(outcome(&mut worker), said("4 pong 3 6 outp oops"));
}

#[test]
fn what_cannot_be_asked_is_refused_without_asking() {
    let handle = r#"
    static char large[20000];
    midimon_bytes bytes;
    midimon_str str, many[65];
    int32_t fd, bad = 0;
    memset(large, 'x', sizeof large);
    bytes.data = (uint8_t *)large; bytes.len = 8193;
    str.data = large; str.len = 1025;
    memset(many, 0, sizeof many);
    bad += host->datagram_send(host, text("h:1"), bytes) == MIDIMON_E_INVALID;
    bytes.len = 1025;
    bad += host->midi_send(host, text("p"), bytes) == MIDIMON_E_INVALID;
    bad += host->type_text(host, str) == MIDIMON_E_INVALID;
    bad += host->type_text(host, text("\xff")) == MIDIMON_E_INVALID;
    bad += host->connect(host, str, 0, &fd) == MIDIMON_E_INVALID;
    bad += host->connect(host, text("h:1"), 0, NULL) == MIDIMON_E_INVALID;
    bad += host->run(host, text("p"), many, 65, 0, NULL) == MIDIMON_E_INVALID;
    str.len = 16385;
    bad += host->run(host, text("p"), &str, 1, 0, NULL) == MIDIMON_E_INVALID;
    bad += host->mouse(host, 99, 0, 0) == MIDIMON_E_INVALID;
    bad += host->mouse(host, MIDIMON_MOUSE_MOVE, 40000, 0) == MIDIMON_E_INVALID;
    bad += host->mouse(host, MIDIMON_MOUSE_SCROLL, 0, -129) == MIDIMON_E_INVALID;
    bad += host->system_control(host, 0) == MIDIMON_E_INVALID && host->system_control(host, 10) == MIDIMON_E_INVALID;
    bad += host->notify(NULL, text("t"), text("b")) == MIDIMON_E_INVALID;
    return bad == 13 ? MIDIMON_OK : 100 + bad;"#;
    let mut worker = ready("unaskable", "", handle);
    assert_eq!(outcome(&mut worker), Outcome::Ok);
}

#[test]
fn events_lights_modes_and_timers_are_asked_for_as_the_plugin_says_and_what_comes_back_arrives() {
    let handle = r#"
    char buffer[128];
    midimon_usage usage;
    int32_t fd = -1;
    ssize_t count;
    memset(&usage, 0, sizeof usage);
    usage.struct_size = sizeof usage;
    if (!MIDIMON_HAS(host, tls_roots) || host->emit(host, text("scene"), text("Live"))) return 1;
    if (host->set_light(host, text("pad"), 16, MIDIMON_LIGHT_NOTE, 127, 5)) return 2;
    if (host->set_light(host, text("pad"), 1, MIDIMON_LIGHT_CONTROL, 0, 0)) return 3;
    if (host->set_mode(host, text("Live"))) return 4;
    if (host->after(host, 7, 10, text("poll"), text("{}"))) return 5;
    if (host->every(host, 8, 1000, text("poll"), text(""))) return 6;
    if (host->cancel(host, 7)) return 7;
    if (host->usage(host, &usage)) return 8;
    if (host->tls_roots(host, &fd)) return 9;
    count = read(fd, buffer, 4);
    close(fd);
    snprintf(buffer, sizeof buffer, "%d %d %d %d %d", (int)count, (int)usage.used_bytes, (int)usage.max_bytes,
        (int)usage.used_files, (int)usage.max_files);
    host->answer(host, text(buffer));"#;
    let mut worker = ready("services", "#include <unistd.h>", handle);
    let light = |channel, light, value| HostCall::SetLight { device: "pad".into(), channel, light, value };
    let timer = |id, ms, every, params: &str| HostCall::TimerSet {
        id,
        ms,
        every,
        action: "poll".into(),
        params: params.into(),
    };
    let usage = DataUsage { used_bytes: 1, max_bytes: 2, used_files: 3, max_files: 4 };
    let expected = [
        (HostCall::Emit { event: "scene".into(), value: "Live".into() }, HostReply::Done),
        (light(16, Light::Note(127), 5), HostReply::Done),
        (light(1, Light::Control(0), 0), HostReply::Done),
        (HostCall::SetMode("Live".into()), HostReply::Done),
        (timer(7, 10, false, "{}"), HostReply::Done),
        (timer(8, 1000, true, ""), HostReply::Done),
        (HostCall::TimerCancel { id: 7 }, HostReply::Done),
        (HostCall::Usage, HostReply::Usage(usage)),
    ];
    for (call, reply) in expected {
        let request = requested(&mut worker);
        assert_eq!(request.call, call);
        answer(&worker, request.id, Ok(reply), None);
    }
    let request = requested(&mut worker);
    assert_eq!(request.call, HostCall::TlsRoots);
    let (mut ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    ours.write_all(&[0; 4]).unwrap();
    answer(&worker, request.id, Ok(HostReply::Roots), Some(&theirs.into()));
    assert_eq!(outcome(&mut worker), said("4 1 2 3 4"));
}

#[test]
fn services_that_make_no_sense_are_refused_without_asking() {
    let handle = r#"
    static char large[4097];
    midimon_str str;
    midimon_usage usage;
    int32_t bad = 0;
    memset(large, 'x', sizeof large);
    str.data = large; str.len = 65;
    bad += host->emit(host, str, text("")) == MIDIMON_E_INVALID;
    str.len = 1025;
    bad += host->emit(host, text("e"), str) == MIDIMON_E_INVALID;
    bad += host->emit(host, text("\xff"), text("")) == MIDIMON_E_INVALID;
    bad += host->set_light(host, text("pad"), -1, MIDIMON_LIGHT_NOTE, 1, 1) == MIDIMON_E_INVALID;
    bad += host->set_light(host, text("pad"), 1, 99, 1, 1) == MIDIMON_E_INVALID;
    bad += host->set_light(host, text("pad"), 1, MIDIMON_LIGHT_NOTE, 256, 1) == MIDIMON_E_INVALID;
    bad += host->set_light(host, text("pad"), 1, MIDIMON_LIGHT_CONTROL, 1, 256) == MIDIMON_E_INVALID;
    bad += host->set_mode(host, str) == MIDIMON_E_INVALID;
    str.len = 257;
    bad += host->after(host, 1, 10, str, text("")) == MIDIMON_E_INVALID;
    str.len = 4097;
    bad += host->every(host, 1, 10, text("a"), str) == MIDIMON_E_INVALID;
    bad += host->usage(host, NULL) == MIDIMON_E_INVALID;
    usage.struct_size = sizeof usage - 1;
    bad += host->usage(host, &usage) == MIDIMON_E_INVALID;
    bad += host->tls_roots(host, NULL) == MIDIMON_E_INVALID;
    return bad == 13 ? MIDIMON_OK : 100 + bad;"#;
    let mut worker = ready("no_sense", "", handle);
    assert_eq!(outcome(&mut worker), Outcome::Ok);
}

#[test]
fn threads_take_turns_and_each_gets_its_own_answer_and_words() {
    let globals = r#"#include <pthread.h>
static int wrong;
static void *ask(void *number) {
    char own[16];
    int i;
    snprintf(own, sizeof own, "%d", (int)(size_t)number);
    for (i = 0; i < 200; i++) {
        midimon_str why;
        if (host->type_text(host, text(own)) != MIDIMON_E_FAILED) wrong = 1;
        why = host->refusal(host);
        if (why.len != strlen(own) || memcmp(why.data, own, why.len)) wrong = 2;
    }
    return NULL;
}"#;
    let handle = r#"
    pthread_t threads[4];
    size_t i;
    for (i = 0; i < 4; i++) pthread_create(&threads[i], NULL, ask, (void *)(i + 1));
    ask((void *)0);
    for (i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    return wrong;"#;
    let mut worker = ready("turns", globals, handle);
    for expected in 1..=1000 {
        let HostRequest { id, call } = requested(&mut worker);
        let HostCall::Text(own) = call else { panic!("{call:?}") };
        assert_eq!(id, expected);
        refuse(&worker, id, RefusalKind::Failed, &own);
    }
    assert_eq!(outcome(&mut worker), Outcome::Ok);
}

#[test]
fn large_requests_and_large_answers_of_calls_never_get_into_each_other() {
    let globals = r#"#include <pthread.h>
static char large[8192];
static volatile int stop;
static void *ask(void *unused) {
    midimon_bytes bytes;
    (void)unused;
    bytes.data = (uint8_t *)large; bytes.len = sizeof large;
    while (!stop) host->datagram_send(host, text("h:1"), bytes);
    return NULL;
}
static int started;"#;
    let handle = r#"
    static pthread_t thread;
    midimon_str str;
    if (!started) { started = 1; pthread_create(&thread, NULL, ask, NULL); }
    str.data = large; str.len = 4096;
    memset(large, 'x', sizeof large);
    host->answer(host, str);"#;
    let mut worker = ready("interleave", globals, handle);
    let (mut answers, mut requests) = (0, 0);
    while answers < 200 || requests < 200 {
        match worker.next() {
            Some(Event::Done { outcome: Outcome::Answer(text), .. }) => {
                assert_eq!(text.len(), 4096);
                answers += 1;
                worker.trigger(8, 0, stamp());
            }
            Some(Event::Request(HostRequest { id, call: HostCall::DatagramSend { payload, .. } })) => {
                assert_eq!(payload.len(), 8192);
                requests += 1;
                answer(&worker, id, Ok(HostReply::Done), None);
            }
            other => panic!("{other:?}; log: {}", worker.end().1),
        }
    }
}

#[test]
fn an_answer_that_is_none_ends_all_asking_and_not_the_plugin() {
    let handle = r#"
    int32_t first = host->notify(host, text("t"), text("b"));
    int32_t second = host->notify(host, text("t"), text("b"));
    return first == MIDIMON_E_FAILED && second == MIDIMON_E_FAILED ? MIDIMON_OK : 1;"#;
    let other = |id| {
        let mut frame = Vec::new();
        codec::encode(&HostAnswer { id, result: Ok(HostReply::Done) }, &mut frame).unwrap();
        frame[PREFIX..].to_vec()
    };
    for bytes in [vec![0xFF; 100], vec![1], other(99), [other(1), vec![0]].concat()] {
        let mut worker = ready("nonsense", "", handle);
        requested(&mut worker);
        send(&worker, &bytes, None);
        assert_eq!(outcome(&mut worker), Outcome::Ok, "{bytes:x?}");
    }
}

#[test]
fn a_connection_without_room_for_its_descriptor_is_an_error() {
    let handle = r#"
    int32_t fd = -1;
    return host->connect(host, text("h:1"), 0, &fd) == MIDIMON_E_FAILED && fd == -1 ? MIDIMON_OK : 1;"#;
    let mut worker = ready("no_room", "", handle);
    let id = requested(&mut worker).id;
    answer(&worker, id, Ok(HostReply::Connected), None);
    assert_eq!(outcome(&mut worker), Outcome::Ok);
}
