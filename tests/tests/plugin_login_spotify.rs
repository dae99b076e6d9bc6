//! A plugin that logs in, on its way to its service: the plugin `spotify` as it is installed, with the real program,
//! and stand-ins for Spotify's accounts and its Web API.

use midimon_tests::accounts::{Accounts, CLIENT, Manner, access, refresh};
use midimon_tests::config::PATIENT;
use midimon_tests::web::{self, Server, Stream};
use midimon_tests::{Bed, Config, Daemon, Login};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

const ID: &str = "spotify";

/// A Web API that does as it is told, but for the access tokens whose time it says is over.
struct Api {
    server: Server,
    over: Arc<Mutex<Vec<String>>>,
}

impl Api {
    fn start() -> Self {
        let over = Arc::new(Mutex::new(Vec::new()));
        let list = over.clone();
        let server = Server::start(move |stream: &mut dyn Stream, head: &str| {
            web::body(stream, head)?;
            let is_over = list.lock().unwrap().contains(&token(head));
            let status = if is_over { "401 Unauthorized\r\nContent-Length: 0" } else { "204 No Content" };
            stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes())
        });
        Self { server, over }
    }

    /// What was asked, and with which token.
    fn asked(&self) -> Vec<(String, String)> {
        let line = |head: &String| head.lines().next().unwrap_or_default().to_owned();
        self.server.heads().iter().map(|head| (line(head), token(head))).collect()
    }

    /// Ends the time of an access token.
    fn ends(&self, token: &str) {
        self.over.lock().unwrap().push(token.to_owned());
    }
}

fn token(head: &str) -> String {
    let header = web::header(head, "authorization").expect("a token");
    header.strip_prefix("Bearer ").expect("a bearer token").to_owned()
}

/// The plugin, whose manifest leads to the stand-ins, granted all that it asks for.
fn start(accounts: &Accounts, api: &Api) -> (Bed, Daemon) {
    let bed = Bed::new();
    let manifest = bed.install(ID).join("plugin.toml");
    let (there, target) = (accounts.address().to_string(), api.server.target());
    let text = fs::read_to_string(&manifest).unwrap();
    let text = text.replace("https://accounts.spotify.com", &format!("http://{there}"));
    let text = text.replace("accounts.spotify.com:443", &there).replace("api.spotify.com:443", &target);
    fs::write(&manifest, text).unwrap();
    let grants = ["filesystem".to_owned(), format!("network:{target}"), format!("network:{there}")];
    bed.configure(&Config::new().plugin(ID, &format!("grants = {grants:?}\n{PATIENT}")));
    for (name, value) in [
        ("client_id", CLIENT),
        ("api_url", &format!("http://{target}/v1")),
        ("token_url", &format!("http://{there}/api/token")),
    ] {
        bed.works(&["plugin", "config", "set", ID, name, value]);
    }
    let daemon = bed.start();
    (bed, daemon)
}

fn play(bed: &Bed) {
    assert_eq!(bed.works(&["plugin", "call", ID, "play"]).trim(), "plays");
}

/// What a request to play with this token looks like to the Web API.
fn played(token: &str) -> (String, String) {
    ("PUT /v1/me/player/play HTTP/1.1".to_owned(), token.to_owned())
}

#[test]
fn after_the_login_the_plugin_speaks_to_its_service_with_the_token() {
    let (accounts, api) = (Accounts::start(Manner::Grants), Api::start());
    let (bed, daemon) = start(&accounts, &api);
    let before = daemon.wait_ready(ID);
    let refused = bed.refused(&["plugin", "call", ID, "play"]);
    assert!(refused.contains("`midimon plugin login spotify`") && api.asked().is_empty(), "{refused}");

    Login::start(&bed, ID).works();
    let worker = daemon.wait_restarted(&before);
    play(&bed);
    assert_eq!(api.asked(), [played(&access(0))]);

    bed.works(&["plugin", "login", ID, "--logout"]);
    daemon.wait_restarted(&worker);
    let after = bed.refused(&["plugin", "call", ID, "play"]);
    assert!(after.contains("nobody is logged in") && api.asked().len() == 1, "{after}");
    daemon.stop();
}

#[test]
fn a_second_login_takes_the_place_of_all_that_the_plugin_kept_of_the_first() {
    let (accounts, api) = (Accounts::start(Manner::Grants), Api::start());
    let (bed, daemon) = start(&accounts, &api);
    let first = [access(0), refresh(0), access(1), refresh(1)];
    let worker = daemon.wait_ready(ID);
    Login::start(&bed, ID).works();
    let worker = daemon.wait_restarted(&worker);
    play(&bed);
    // its hour is over: the plugin renews the login, and keeps what it was given
    api.ends(&access(0));
    play(&bed);
    assert_eq!(api.asked(), [&access(0), &access(0), &access(1)].map(|token| played(token)));
    let kept = kept(&bed);
    assert!(first[1..].iter().all(|token| kept.contains(token.as_str())), "{kept}");

    Login::start(&bed, ID).works();
    let worker = daemon.wait_restarted(&worker);
    assert_none_is_kept(&bed, &first);
    play(&bed);
    assert_eq!(api.asked()[3..], [played(&access(2))]);
    assert_none_is_kept(&bed, &first);
    // and what is kept from now on is of the second
    api.ends(&access(2));
    play(&bed);
    assert_eq!(api.asked()[4..], [&access(2), &access(3)].map(|token| played(token)));
    assert_none_is_kept(&bed, &first);
    assert!(self::kept(&bed).contains(&refresh(3)));

    assert_eq!(daemon.worker(ID).restarts, worker.restarts);
    daemon.stop();
}

/// All that is in the plugin's data directory: names and contents.
fn kept(bed: &Bed) -> String {
    let (mut text, mut directories) = (String::new(), vec![bed.home().join("plugin-data").join(ID)]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            text += &path.to_string_lossy();
            if path.is_dir() {
                directories.push(path);
            } else {
                text += &String::from_utf8_lossy(&fs::read(&path).unwrap());
            }
        }
    }
    text
}

#[track_caller]
fn assert_none_is_kept(bed: &Bed, tokens: &[String]) {
    let kept = kept(bed);
    assert!(!tokens.iter().any(|token| kept.contains(token)), "{kept}");
}
