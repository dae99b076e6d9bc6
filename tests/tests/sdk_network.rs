//! One plugin in Rust, built as a native library and as a component, says the same to servers and hears the same.

use midimon::control::protocol::Request;
use midimon_tests::web::{Authority, Server, Stream, body, header};
use midimon_tests::{Bed, Config, Daemon};
use serde_json::{Value, json};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;

/// The same source, built both ways.
const BOTH: [&str; 2] = ["twofold", "twofold-wasm"];

/// Both plugins, granted the same servers, under one daemon that trusts one authority.
struct Pair {
    daemon: Daemon,
    _bed: Bed,
}

impl Pair {
    fn new(authority: &Authority, targets: &[String]) -> Self {
        let bed = Bed::new().trusting(authority);
        let mut config = Config::new();
        let grants: Vec<_> = targets.iter().map(|target| format!("network:{target}")).collect();
        for id in BOTH {
            let manifest = bed.install(id).join("plugin.toml");
            let asked = format!(
                "\n[[capabilities]]\ncapability = \"network\"\ntargets = {targets:?}\nreason = \"talks to the test\"\n"
            );
            let text = std::fs::read_to_string(&manifest).unwrap();
            std::fs::write(manifest, text + &asked).unwrap();
            config = config.plugin(id, &format!("grants = {grants:?}\ntimeout_ms = 20000"));
        }
        bed.configure(&config);
        let daemon = bed.start();
        for id in BOTH {
            daemon.wait_ready(id);
        }
        Self { daemon, _bed: bed }
    }

    /// Calls both and gives the answer, which has to be the same.
    #[track_caller]
    fn same(&self, action: &str, params: &Value) -> String {
        let [native, component] = BOTH.map(|id| self.call(id, action, params));
        assert_eq!(native, component, "{params}\n{}", self.daemon.log_text());
        native
    }

    #[track_caller]
    fn call(&self, id: &str, action: &str, params: &Value) -> String {
        let params = params.as_object().unwrap().clone().into_iter().collect();
        let request =
            Request::PluginCall { id: id.parse().unwrap(), action: action.to_owned(), params, velocity: None };
        self.daemon.call(&request).unwrap_or_else(|error| panic!("{id}: {error}\n{}", self.daemon.log_text()))
    }
}

/// A server with an answer for everything.
fn serve(stream: &mut dyn Stream, head: &str) -> io::Result<()> {
    let body = body(stream, head)?;
    let path = head.split(' ').nth(1).expect("a path");
    let (status, more, answer) = match path.split('?').next().unwrap_or_default() {
        "/echo" => {
            let told = ["host", "user-agent", "content-type", "authorization", "content-length"];
            let told: Vec<_> = told.iter().map(|name| format!("{name}={:?}", header(head, name))).collect();
            let first = head.lines().next().unwrap_or_default();
            ("200 OK", "", format!("{first} {} {}", told.join(" "), String::from_utf8_lossy(&body)))
        }
        "/redirect" => ("302 Found", "Location: /echo?again\r\n", String::new()),
        "/insists" => ("307 Temporary Redirect", "Location: echo\r\n", String::new()),
        "/away" => ("302 Found", "Location: http://localhost:1/\r\n", String::new()),
        "/loop" => ("302 Found", "Location: /loop\r\n", String::new()),
        "/large" => ("200 OK", "", "x".repeat(100_000)),
        "/slow" => {
            let _ = stream.read(&mut [0])?; // until the other side closes
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        _ => ("404 Not Found", "", "nothing here".to_owned()),
    };
    let length = answer.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\n{more}Content-Length: {length}\r\n\r\n");
    stream.write_all((head + &answer).as_bytes())
}

fn server(tls: Option<Arc<rustls::ServerConfig>>) -> Server {
    Server::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), tls, Arc::new(serve))
}

#[test]
fn requests_and_their_answers_are_the_same_both_ways_with_tls_and_without() {
    let authority = Authority::new();
    let (plain, secure) = (server(None), server(Some(authority.server("localhost"))));
    let targets = [plain.at("localhost"), secure.at("localhost")];
    let pair = Pair::new(&authority, &targets);
    for (scheme, target) in ["http", "https"].into_iter().zip(&targets) {
        let http = |method: &str, path: &str, more: Value| {
            let mut params = json!({ "method": method, "url": format!("{scheme}://{target}{path}") });
            params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            pair.same("http", &params)
        };
        let got = http("GET", "/echo?a=b#c", json!({}));
        let version = env!("CARGO_PKG_VERSION");
        let told = format!("host=Some(\"{target}\") user-agent=Some(\"midimon-plugin/{version}\")");
        assert!(got.starts_with("200 text/plain ") && got.contains("GET /echo?a=b HTTP/1.1"), "{got}");
        assert!(got.contains(&told), "{got}");
        let posted = http("POST", "/echo", json!({ "body": "words" }));
        assert!(posted.contains("POST /echo") && posted.ends_with("content-length=Some(\"5\") words"), "{posted}");
        assert!(posted.contains("content-type=Some(\"text/plain\") authorization=Some(\"Bearer secret\")"), "{posted}");
        let empty = http("PUT", "/echo", json!({}));
        assert!(empty.contains("content-length=Some(\"0\")"), "{empty}");

        let redirected = http("POST", "/redirect", json!({ "body": "words" }));
        assert!(redirected.contains("GET /echo?again HTTP/1.1"), "{redirected}");
        assert!(redirected.contains("content-length=None"), "{redirected}");
        let insisted = http("POST", "/insists", json!({ "body": "words" }));
        assert!(insisted.contains("POST /echo HTTP/1.1") && insisted.ends_with(" words"), "{insisted}");
        assert_eq!(http("GET", "/away", json!({})), "NotGranted");
        assert_eq!(http("GET", "/loop", json!({})), "Redirect");
        assert_eq!(http("GET", "/missing", json!({})), "404 text/plain 12 nothing here");
        assert_eq!(http("GET", "/large", json!({})), "TooLarge");
        assert!(http("GET", "/large", json!({ "max": 100_000 })).starts_with("200 text/plain 100000 xxx"));
        assert_eq!(http("GET", "/slow", json!({ "ms": 300 })), "TimedOut");
    }
    let other = |url: &str| pair.same("http", &json!({ "method": "GET", "url": url }));
    assert_eq!(other("http://localhost:1/"), "NotGranted");
    assert_eq!(other("https://example.com/"), "NotGranted");
    assert_eq!(other("http://user@localhost/"), "Invalid");
    for id in BOTH {
        let worker = pair.daemon.worker(id);
        assert_eq!((worker.restarts, worker.calls.failed), (0, 0), "{worker:#?}");
    }
}

/// Sends back what it heard, in capitals.
fn shout(stream: &mut dyn Stream, head: &str) -> io::Result<()> {
    stream.write_all(head.to_uppercase().as_bytes())
}

#[test]
fn connections_are_the_same_both_ways_and_tls_asks_for_the_right_certificate() {
    let (known, unknown) = (Authority::new(), Authority::new());
    let start = |tls| Server::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), tls, Arc::new(shout));
    let (plain, secure) = (start(None), start(Some(known.server("localhost"))));
    let stranger = start(Some(unknown.server("localhost")));
    let targets = [plain.at("localhost"), secure.at("localhost"), secure.target(), stranger.at("localhost")];
    let pair = Pair::new(&known, &targets);
    let talk = |target: &str, tls: bool| {
        pair.same("connect", &json!({ "target": target, "tls": tls, "line": "hello\r\n\r\n" }))
    };
    assert_eq!(talk(&targets[0], false), "HELLO\r\n\r\n");
    assert_eq!(talk(&targets[1], true), "HELLO\r\n\r\n");
    assert_eq!(secure.heads(), ["hello\r\n\r\n"; 2]);
    // another name than the certificate's, an authority nobody knows, a server that speaks no TLS
    for target in [&targets[2], &targets[3], &targets[0]] {
        assert_eq!(talk(target, true), "Failed", "{target}");
    }
    assert_eq!((secure.heads().len(), stranger.heads().len()), (2, 0), "not a word before it is known who listens");
    for tls in [false, true] {
        assert_eq!(talk("localhost:1", tls), "NotGranted");
        assert_eq!(talk("user@localhost:1", tls), "Invalid");
    }
}

#[test]
fn a_server_that_never_ends_its_handshake_is_left_in_time_both_ways() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let targets = [silent.local_addr().unwrap().to_string()];
    let pair = Pair::new(&Authority::new(), &targets);
    let said = pair.same("connect", &json!({ "target": targets[0], "tls": true, "line": "", "ms": 300 }));
    assert_eq!(said, "TimedOut");
}
