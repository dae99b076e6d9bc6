//! The plugin's client against a server that follows the published protocol.

use obs::actions;
use obs::client::Link;
use obs::events::Emitted;
use obs::remote::{Account, Dial, Failure, Remote};
use obs_server::Server;
use obs_server::studio::Input;
use serde_json::{Value, json};
use std::cell::Cell;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tungstenite::WebSocket;
use tungstenite::handshake::server::{Request, Response};

/// A busy machine runs a test when it likes; what never ends takes longer.
const SOON: Duration = Duration::from_secs(20);

/// A plain connection.
#[derive(Debug)]
struct Plain(TcpStream);

impl Read for Plain {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Link for Plain {
    fn set_timeout(&mut self, timeout: Duration) -> io::Result<()> {
        self.0.set_read_timeout(Some(timeout))?;
        self.0.set_write_timeout(Some(timeout))
    }
}

#[derive(Debug)]
struct Dialler(Instant);

impl Dial for Dialler {
    type Link = Plain;
    fn dial(&mut self, address: &str, wait: Duration) -> Result<Plain, String> {
        let address = address.parse().map_err(|error| format!("{error}"))?;
        TcpStream::connect_timeout(&address, wait).map(Plain).map_err(|error| error.to_string())
    }
    fn age(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Its clock goes when the test says so, and it counts.
#[derive(Clone, Debug, Default)]
struct Ticking {
    age: Rc<Cell<Duration>>,
    dialled: Rc<Cell<u32>>,
}

impl Dial for Ticking {
    type Link = Plain;
    fn dial(&mut self, address: &str, wait: Duration) -> Result<Plain, String> {
        self.dialled.set(self.dialled.get() + 1);
        Dialler(Instant::now()).dial(address, wait)
    }
    fn age(&self) -> Duration {
        self.age.get()
    }
}

fn account(address: impl ToString, password: &str) -> Account {
    Account { address: address.to_string(), password: password.to_owned() }
}

fn remote(address: impl ToString, password: &str) -> Remote<Dialler> {
    Remote::new(Dialler(Instant::now()), account(address, password))
}

fn act(remote: &mut Remote<Dialler>, action: &str, params: Value) -> Result<String, Failure> {
    let act = actions::plan(action, &params.to_string(), None).expect("an action");
    remote.perform(&act)
}

/// Ticks until the event comes.
fn wait_for(remote: &mut Remote<Dialler>, event: &str, value: &str) {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut seen = Vec::new();
    while Instant::now() < deadline {
        let _ = remote.tick();
        while let Some(emitted) = remote.take_emitted() {
            if emitted == Emitted::new(name(event), value) {
                return;
            }
            seen.push(emitted);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{event}={value} never came; these did: {seen:?}");
}

fn name(event: &str) -> &'static str {
    ["connection", "scene_changed", "record", "stream", "muted"]
        .into_iter()
        .find(|name| *name == event)
        .expect("a name")
}

/// Takes a connection as a server would that then says what it likes.
fn accept(listener: &TcpListener) -> WebSocket<TcpStream> {
    let (stream, _) = listener.accept().unwrap();
    #[allow(clippy::result_large_err)] // tungstenite's signature
    let choose = |_: &Request, mut response: Response| {
        response.headers_mut().insert("Sec-WebSocket-Protocol", "obswebsocket.json".parse().unwrap());
        Ok(response)
    };
    tungstenite::accept_hdr(stream, choose).unwrap()
}

#[test]
fn every_action_changes_the_studio_behind_a_password() {
    let server = Server::start(0, "geheim ✓").unwrap();
    let mut obs = remote(server.address(), "geheim ✓");
    let mut act = |action: &str, params: Value| act(&mut obs, action, params).unwrap();
    assert_eq!(act("switch_scene", json!({ "scene": "Live" })), "done");
    assert_eq!(act("toggle_recording", json!({})), "on");
    assert_eq!(act("pause_recording", json!({})), "paused");
    assert_eq!(act("toggle_streaming", json!({})), "on");
    assert_eq!(act("toggle_mute", json!({ "input": "Mic" })), "muted");
    assert_eq!(act("set_volume", json!({ "input": "Mic", "db": -20 })), "done");
    assert_eq!(act("toggle_source", json!({ "source": "Logo" })), "Logo in Live: hidden");
    act("start_replay_buffer", json!({}));
    act("save_replay", json!({}));
    assert_eq!(act("toggle_studio_mode", json!({})), "studio mode: on");
    act("preview_scene", json!({ "scene": "Pause" }));
    let studio = server.studio();
    assert_eq!((studio.scene.as_str(), studio.preview.as_str()), ("Live", "Pause"));
    assert!(studio.records && studio.record_paused && studio.streams && studio.replay && studio.studio_mode);
    assert_eq!(studio.replays_saved, 1);
    assert_eq!(studio.inputs["Mic"], Input { muted: true, volume: 0.1 });
    assert_eq!(studio.items["Live"][1], ("Logo".to_owned(), false));
    assert_eq!(studio.items["Start"][1], ("Logo".to_owned(), true));
    act("transition", json!({}));
    act("stop_streaming", json!({}));
    act("stop_replay_buffer", json!({}));
    act("set_mute", json!({ "input": "Mic", "muted": false }));
    act("set_source", json!({ "source": "Logo", "scene": "Live", "visible": true }));
    assert_eq!(act("stop_recording", json!({})), "/videos/a.mkv");
    act("set_studio_mode", json!({ "on": false }));
    let studio = server.studio();
    assert_eq!(studio.scene, "Pause");
    assert!(!studio.records && !studio.streams && !studio.replay && !studio.inputs["Mic"].muted && !studio.studio_mode);
    assert!(studio.items["Live"][1].1);
}

#[test]
fn a_batch_stops_at_the_first_refusal() {
    let server = Server::start(0, "").unwrap();
    let mut obs = remote(server.address(), "");
    let requests = json!({ "requests": {
        "c": { "request": "StartStream" },
        "a": { "request": "SetCurrentProgramScene", "data": { "sceneName": "Live" } },
        "b": { "request": "StopRecord" } } });
    let refused = act(&mut obs, "batch", requests).unwrap_err();
    assert_eq!(refused.to_string(), "OBS refused StopRecord: The output is not running. (code 501)");
    let studio = server.studio();
    assert_eq!((studio.scene.as_str(), studio.streams), ("Live", false));
    let both = json!({ "requests": { "a": { "request": "StartRecord" }, "b": { "request": "StartStream" } } });
    assert_eq!(act(&mut obs, "batch", both).unwrap(), "done, done");
    assert!(server.studio().records && server.studio().streams);
}

#[test]
fn what_happens_in_obs_is_told_from_the_start_and_as_it_happens() {
    let server = Server::start(0, "").unwrap();
    server.act(&json!({ "requestType": "SetCurrentProgramScene", "requestData": { "sceneName": "Pause" } })).unwrap();
    server.act(&json!({ "requestType": "StartStream" })).unwrap();
    let mut obs = remote(server.address(), "");
    obs.tick().unwrap();
    let first: Vec<Emitted> = std::iter::from_fn(|| obs.take_emitted()).collect();
    let expected = [("connection", "open"), ("scene_changed", "Pause"), ("record", "stopped"), ("stream", "started")];
    assert_eq!(first, expected.map(|(event, value)| Emitted::new(event, value)));
    server.act(&json!({ "requestType": "SetCurrentProgramScene", "requestData": { "sceneName": "Live" } })).unwrap();
    wait_for(&mut obs, "scene_changed", "Live");
    server.act(&json!({ "requestType": "ToggleInputMute", "requestData": { "inputName": "Mic" } })).unwrap();
    wait_for(&mut obs, "muted", "Mic");
    // an event that comes while an answer is waited for is not lost
    act(&mut obs, "start_recording", json!({})).unwrap();
    wait_for(&mut obs, "record", "started");
}

#[test]
fn a_wrong_password_and_a_missing_one_are_told_and_not_tried_again_and_again() {
    let server = Server::start(0, "right").unwrap();
    let mut wrong = remote(server.address(), "wrong");
    let error = act(&mut wrong, "start_recording", json!({})).unwrap_err().to_string();
    assert!(error.contains("the password is wrong"), "{error}");
    let ticking = Ticking::default();
    let mut none = Remote::new(ticking.clone(), account(server.address(), ""));
    // the next try is half a minute away, whatever happens before
    for (at, tries) in [(0, 1), (1, 1), (29_999, 1), (30_000, 2), (59_999, 2), (60_000, 3)] {
        ticking.age.set(Duration::from_millis(at));
        let told = none.tick().map_err(|error| error.to_string());
        assert_eq!(ticking.dialled.get(), tries, "after {at} ms");
        let is_try = matches!(at, 0 | 30_000 | 60_000);
        assert_eq!(told.is_err_and(|error| error.contains("asks for a password")), is_try, "after {at} ms");
    }
    assert_eq!(server.asked(), Vec::<String>::new());
    assert!(act(&mut remote(server.address(), "right"), "start_recording", json!({})).is_ok());
}

#[test]
fn it_connects_again_when_the_network_fails_and_when_obs_comes_back() {
    let server = Server::start(0, "").unwrap();
    let address = server.address();
    let mut obs = remote(address, "");
    wait_for(&mut obs, "connection", "open");
    server.cut();
    wait_for(&mut obs, "connection", "lost");
    wait_for(&mut obs, "connection", "open");
    act(&mut obs, "start_recording", json!({})).unwrap();
    drop(server);
    wait_for(&mut obs, "connection", "lost");
    let error = act(&mut obs, "start_recording", json!({})).unwrap_err().to_string();
    assert!(error.contains(&format!("OBS at {address} cannot be reached")), "{error}");
    let server = Server::start(address.port(), "").unwrap();
    wait_for(&mut obs, "connection", "open");
    act(&mut obs, "start_recording", json!({})).unwrap();
    assert!(server.studio().records);
}

#[test]
fn a_press_after_the_connection_was_cut_unseen_connects_again_and_asks_once() {
    let server = Server::start(0, "").unwrap();
    let mut obs = remote(server.address(), "");
    act(&mut obs, "toggle_recording", json!({})).unwrap();
    server.cut();
    // until the end of the connection has arrived here
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        std::thread::sleep(Duration::from_millis(20));
        match act(&mut obs, "toggle_streaming", json!({})) {
            Ok(_) => break,
            Err(error) => assert!(Instant::now() < deadline, "{error}"),
        }
    }
    assert_eq!(server.asked().iter().filter(|line| line.starts_with("ToggleStream")).count(), 1);
}

#[test]
fn who_accepts_and_says_nothing_or_talks_without_end_costs_two_seconds() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let begun = Instant::now();
    let error = remote(silent.local_addr().unwrap(), "").tick().unwrap_err().to_string();
    assert!(error.contains("did not answer in time"), "{error}");
    let took = begun.elapsed();
    assert!((Duration::from_secs(2)..SOON).contains(&took), "{took:?}");

    let endless = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = endless.local_addr().unwrap();
    let talker = std::thread::spawn(move || {
        let mut socket = accept(&endless);
        while socket.send(tungstenite::Message::text(r#"{"op":99,"d":{}}"#)).is_ok() {}
    });
    let begun = Instant::now();
    assert!(remote(address, "").tick().is_err());
    assert!(begun.elapsed() < SOON, "{:?}", begun.elapsed());
    talker.join().unwrap();
}

#[test]
fn a_message_that_is_too_long_ends_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let talker = std::thread::spawn(move || {
        let mut socket = accept(&listener);
        let _ = socket.send(tungstenite::Message::text(" ".repeat(obs::protocol::MAX_MESSAGE + 1)));
    });
    let error = remote(address, "").tick().unwrap_err().to_string();
    assert!(error.contains("too long") || error.contains("too big"), "{error}");
    talker.join().unwrap();
}

#[test]
fn what_is_no_web_socket_is_told_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let web = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        let _ = stream.read(&mut request).unwrap();
        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    let error = remote(address, "").tick().unwrap_err().to_string();
    assert!(error.contains("404"), "{error}");
    web.join().unwrap();
}
