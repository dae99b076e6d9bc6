//! `midimon plugin login`, with the real program, a service that checks what it is sent, and
//! a test that plays the browser.

use midimon_tests::accounts::{Accounts, CLIENT, Manner, access, get, refresh, sent_back};
use midimon_tests::config::PATIENT;
use midimon_tests::web::{self, Authority, Server, Stream};
use midimon_tests::{Bed, Config, Login, Publisher, eventually};
use rustls::ServerConfig;
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::Arc;

const ID: &str = "given";
/// The user `nobody`, and its group.
const NOBODY: u32 = 65_534;

const SETTINGS: &str = r#"
[[settings]]
name = "client_id"
type = "string"
[[settings]]
name = "refresh_token"
type = "string"
secret = true
[[settings]]
name = "access_token"
type = "string"
secret = true
[[settings]]
name = "expires_at"
type = "integer"
"#;

fn login_at(base: &str) -> String {
    format!(
        r#"{SETTINGS}
[login]
kind = "oauth2-pkce"
authorize_url = "{base}/authorize"
token_url = "{base}/api/token"
scopes = ["play", "read"]
client_id_setting = "client_id"
refresh_token_setting = "refresh_token"
access_token_setting = "access_token"
expires_at_setting = "expires_at"
reason = "plays music"
"#
    )
}

/// A plugin under development that logs in to this service.
fn bed(accounts: &Accounts) -> Bed {
    let bed = Bed::new();
    let manifest = bed.install(ID).join("plugin.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text + &login_at(&format!("http://{}", accounts.address()))).unwrap();
    bed.configure(&Config::new().plugin(ID, PATIENT));
    bed
}

fn with_client(accounts: &Accounts) -> Bed {
    let bed = bed(accounts);
    bed.works(&["plugin", "config", "set", ID, "client_id", CLIENT]);
    bed
}

fn logged_in(bed: &Bed) -> bool {
    let status = bed.json(&["plugin", "login", ID, "--status", "--json"]);
    status["logged_in"].as_bool().expect("it says so")
}

/// What the log of the plugin's doings says of logins.
fn audited(bed: &Bed) -> Vec<String> {
    let login = |line: &Value| {
        let what = line["capability"].as_str()?.strip_prefix("login:")?.to_owned();
        Some(format!("{} {what}", line["event"].as_str()?))
    };
    bed.audit(ID).iter().filter_map(login).collect()
}

#[test]
fn the_plugin_gets_its_tokens_and_loses_them_when_the_user_says_so() {
    let accounts = Accounts::start(Manner::Grants);
    let bed = with_client(&accounts);
    let daemon = bed.start();
    let before = daemon.wait_ready(ID);
    assert_eq!(bed.given(ID), json!({ "client_id": CLIENT }));

    let login = Login::start(&bed, ID);
    let (head, page) = get(&sent_back(&login.address));
    assert!(head.starts_with("HTTP/1.1 200") && page.contains("can be closed"), "{head}\n{page}");
    let output = login.ends();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(accounts.seen(), ["GET /authorize", "POST /api/token"]);

    let worker = daemon.wait_restarted(&before);
    let settings = bed.given(ID);
    assert_eq!((&settings["access_token"], &settings["refresh_token"]), (&json!(access(0)), &json!(refresh(0))));
    assert!(settings["expires_at"].as_i64().unwrap() > 1_700_000_000, "{settings}");
    let file = bed.home().join("state/settings/dev").join(format!("{ID}.json"));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!bed.works(&["plugin", "config", "get", ID]).contains(&refresh(0)));
    assert!(logged_in(&bed));
    eventually("the login is in the audit log", || match audited(&bed) {
        lines if lines == [format!("granted {}", accounts.address())] => Ok(()),
        lines => Err(format!("{lines:?}")),
    });
    let refused = bed.refused(&["plugin", "config", "set", ID, "refresh_token"]);
    assert!(refused.contains(&format!("midimon plugin login {ID}")), "{refused}");

    let words = bed.works(&["plugin", "login", ID, "--logout"]);
    assert!(words.contains("are forgotten") && words.contains(&accounts.address().to_string()), "{words}");
    daemon.wait_restarted(&worker);
    assert_eq!(bed.given(ID), json!({ "client_id": CLIENT }));
    assert!(!logged_in(&bed) && !fs::read_to_string(&file).unwrap().contains(&refresh(0)));
    eventually("the logout is in the audit log", || match audited(&bed) {
        lines if lines.len() == 2 && lines[1].starts_with("withdrawn ") => Ok(()),
        lines => Err(format!("{lines:?}")),
    });
    assert!(bed.works(&["plugin", "login", ID, "--logout"]).contains("was not logged in"));
    daemon.stop();
}

#[test]
fn without_a_client_id_the_command_and_the_redirect_address_are_named() {
    let accounts = Accounts::start(Manner::Grants);
    let bed = bed(&accounts);
    let words = bed.refused(&["plugin", "login", ID, "--port", "14711"]);
    assert!(words.contains(&format!("midimon plugin config set {ID} client_id CLIENT_ID")), "{words}");
    assert!(words.contains("http://127.0.0.1:14711/callback"), "{words}");
    let status = bed.json(&["plugin", "login", ID, "--status", "--json"]);
    assert_eq!(
        (&status["missing"], &status["redirect_uri"]),
        (&json!("client_id"), &json!("http://127.0.0.1/callback"))
    );
    assert!(accounts.seen().is_empty());
    bed.install("echo");
    assert!(bed.refused(&["plugin", "login", "echo"]).contains("nothing to log in to"));
}

#[test]
fn a_no_keeps_nothing_and_says_who_said_it() {
    let accounts = Accounts::start(Manner::Denies);
    let bed = with_client(&accounts);
    let login = Login::start(&bed, ID);
    assert!(get(&sent_back(&login.address)).1.contains("refused"));
    let words = login.fails();
    assert!(words.contains("access_denied"), "{words}");
    assert_eq!(accounts.seen(), ["GET /authorize"]);
    assert!(!logged_in(&bed));
}

#[test]
fn what_the_service_refuses_is_told_with_what_to_do_and_keeps_nothing() {
    for (manner, part) in [
        (Manner::Expires, "\"Authorization code expired\"; a code holds once and for some minutes only: run `midimon"),
        (Manner::OneHourOnly, "no refresh_token"),
        (Manner::Fails, "status 502"),
    ] {
        let accounts = Accounts::start(manner);
        let bed = with_client(&accounts);
        let login = Login::start(&bed, ID);
        let _ = get(&sent_back(&login.address));
        let words = login.fails();
        assert!(words.contains(part) && words.contains(&accounts.address().to_string()), "{manner:?}: {words}");
        assert!(!logged_in(&bed), "{manner:?}");
    }
}

#[test]
fn what_others_send_to_the_port_changes_nothing() {
    let accounts = Accounts::start(Manner::Grants);
    let bed = with_client(&accounts);
    let login = Login::start(&bed, ID);
    let back = sent_back(&login.address);
    let (origin, _) = back.split_once('?').unwrap();
    let (head, _) = get(&format!("{origin}?code=evil&state=0123456789012345678901234567890123456789012"));
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    assert!(get(&origin.replace("/callback", "/favicon.ico")).0.starts_with("HTTP/1.1 404"));
    // no browser was opened, so none is sent on
    let (head, _) = get(&origin.replace("/callback", "/login"));
    assert!(head.starts_with("HTTP/1.1 404") && !head.contains("Location"), "{head}");
    let host: SocketAddr = origin["http://".len()..origin.len() - "/callback".len()].parse().unwrap();
    let mut silent = TcpStream::connect(host).unwrap();
    let mut noisy = TcpStream::connect(host).unwrap();
    noisy.write_all(&[0, 255, 10, 13]).unwrap();

    assert!(get(&back).0.starts_with("HTTP/1.1 200"));
    let output = login.ends();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("not of this login"), "{output:?}");
    assert_eq!(accounts.seen(), ["GET /authorize", "POST /api/token"]);
    assert!(logged_in(&bed));
    // nobody is there any more
    assert!(matches!(silent.read(&mut [0]), Ok(0) | Err(_)));
}

#[test]
fn the_browser_of_the_desktop_is_asked_and_programs_get_json() {
    let accounts = Accounts::start(Manner::Grants);
    let bed = with_client(&accounts);
    let programs = bed.path("programs");
    fs::create_dir(&programs).unwrap();
    let (opener, opened) = (programs.join("xdg-open"), bed.path("opened"));
    let script = format!("#!/bin/sh\nprintf %s \"$1\" > '{0}.new'\n/bin/mv '{0}.new' '{0}'\n", opened.display());
    fs::write(&opener, script).unwrap();
    fs::set_permissions(&opener, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = bed.command(&["plugin", "login", ID, "--json"]);
    command.env("PATH", &programs).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("midimon runs");
    let begins = eventually("the browser is asked", || fs::read_to_string(&opened).map_err(|error| error.to_string()));
    // everybody can read a command line
    assert!(begins.starts_with("http://127.0.0.1:") && begins.ends_with("/login"), "{begins}");
    let address = sent_back(&begins);
    // whoever comes after the browser learns nothing of the login
    let (head, page) = get(&begins);
    assert!(head.starts_with("HTTP/1.1 404") && !head.contains("Location"), "{head}");
    assert!(page.contains("begin again"), "{page}");
    let _ = get(&sent_back(&address));
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&said["logged_in"], &said["scopes"]), (&json!(true), &json!(["play", "read"])));
    assert!(!String::from_utf8_lossy(&output.stdout).contains(&refresh(0)));
    assert!(String::from_utf8_lossy(&output.stderr).contains(&address), "the address is printed all the same");
}

#[test]
fn the_address_can_be_pasted_where_the_browser_is_elsewhere() {
    let accounts = Accounts::start(Manner::Grants);
    let bed = with_client(&accounts);
    let mut login = Login::start(&bed, ID);
    let back = sent_back(&login.address);
    let mut keyboard = login.child.stdin.take().unwrap();
    keyboard.write_all(format!("http://127.0.0.1/?\n{back}\n").as_bytes()).unwrap();
    let output = login.ends();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("paste all of it"), "{output:?}");
    assert!(logged_in(&bed));
}

#[test]
fn nobody_is_waited_for_longer_than_was_said_or_at_a_port_that_is_taken() {
    let accounts = Accounts::start(Manner::Grants);
    let bed = with_client(&accounts);
    let words = bed.refused(&["plugin", "login", ID, "--no-browser", "--timeout", "1"]);
    assert!(words.contains("nobody came back within 1 s") && words.contains("--timeout"), "{words}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let words = bed.refused(&["plugin", "login", ID, "--no-browser", "--port", &port]);
    assert!(words.contains(&format!("port {port} of 127.0.0.1 is taken")) && words.contains("--port PORT"), "{words}");
}

#[test]
fn a_service_that_is_gone_is_an_error_with_its_name() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let accounts = Accounts::start(Manner::Grants);
    let bed = with_client(&accounts);
    let manifest = bed.plugin_dir().join(ID).join("plugin.toml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace(&format!("{}/api", accounts.address()), &format!("{gone}/api"))).unwrap();
    let login = Login::start(&bed, ID);
    let _ = get(&sent_back(&login.address));
    let words = login.fails();
    assert!(words.contains(&format!("{gone} cannot be reached")), "{words}");
    assert!(!logged_in(&bed));
}

#[test]
fn a_package_says_where_it_logs_in_before_it_is_installed_and_does_so_with_tls_only() {
    let (bed, publisher) = (Bed::new(), Publisher::new());
    bed.configure(&Config::new());
    let package = publisher.package(ID, "0.1.0", &login_at("https://accounts.example.org"));
    let file = package.to_str().unwrap();
    let key = publisher.key().to_string();
    let plan = bed.json(&["plugin", "install", file, "--dry-run", "--json", "--key", &key]);
    assert_eq!((&plan["login"]["at"], &plan["login"]["state"]), (&json!("accounts.example.org"), &json!("new")));
    let said = publisher.install(&bed, &package, &[]);
    assert!(said.contains("`midimon plugin login given`"), "{said}");
    let info = bed.works(&["plugin", "info", ID]);
    assert!(info.contains("accounts.example.org – not logged in: `midimon plugin login given`"), "{info}");
    // the same login again is nothing new; one elsewhere is
    let same = publisher.package(ID, "0.1.1", &login_at("https://accounts.example.org"));
    assert_eq!(
        bed.json(&["plugin", "update", ID, same.to_str().unwrap(), "--dry-run", "--json"])["needs_consent"],
        false
    );
    let other = publisher.package(ID, "0.1.2", &login_at("https://accounts.example.net"));
    assert_eq!(
        bed.json(&["plugin", "update", ID, other.to_str().unwrap(), "--dry-run", "--json"])["needs_consent"],
        true
    );

    let plain = publisher.plugin(ID, "0.2.0", &login_at("http://127.0.0.1:8080"));
    let words = bed.refused(&["plugin", "pack", plain.to_str().unwrap()]);
    assert!(words.contains("logs in over https"), "{words}");
}

/// A token address that speaks TLS and gives tokens to whoever sends a form.
fn token_server(tls: Arc<ServerConfig>) -> Server {
    let serve = |stream: &mut dyn Stream, head: &str| {
        web::body(stream, head)?;
        let body = r#"{"access_token":"a","token_type":"Bearer","refresh_token":"r"}"#;
        let chunk = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
        stream.write_all(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}").as_bytes())
    };
    Server::start_at("127.0.0.1:0".parse().unwrap(), Some(tls), Arc::new(serve))
}

#[test]
fn tokens_come_over_tls_from_whoever_proves_to_be_the_service() {
    let (known, stranger) = (Authority::new(), Authority::new());
    for (authority, name, part) in [
        (&known, "localhost", ""),
        (&stranger, "localhost", "does not prove that it is"),
        (&known, "elsewhere.example", "does not prove that it is"),
    ] {
        let accounts = Accounts::start(Manner::Grants);
        let bed = with_client(&accounts).trusting(&known);
        let tokens = token_server(authority.server(name));
        let manifest = bed.plugin_dir().join(ID).join("plugin.toml");
        let text = fs::read_to_string(&manifest).unwrap();
        let there = format!("https://{}/api/token", tokens.at("localhost"));
        fs::write(&manifest, text.replace(&format!("http://{}/api/token", accounts.address()), &there)).unwrap();
        let login = Login::start(&bed, ID);
        let _ = get(&sent_back(&login.address));
        if part.is_empty() {
            let output = login.ends();
            assert!(output.status.success(), "{output:?}");
            assert!(tokens.heads()[0].starts_with("POST /api/token HTTP/1.1"), "{:?}", tokens.heads());
            assert!(logged_in(&bed));
        } else {
            let words = login.fails();
            assert!(words.contains(part) && words.contains(&tokens.at("localhost")), "{words}");
            // nothing was said to a stranger
            assert!(tokens.heads().is_empty() && !logged_in(&bed));
        }
    }
}

/// Set for the process that plays the browser of another user: the address it opens.
const OPENS: &str = "MIDIMON_TEST_OPENS";

#[test]
#[ignore = "takes root, to be another user: make vm"]
fn another_user_who_knows_the_state_can_neither_end_a_login_nor_give_it_an_account() {
    if let Ok(address) = std::env::var(OPENS) {
        let (head, body) = get(&address);
        println!("{head}\n{body}");
        return;
    }
    let test = "another_user_who_knows_the_state_can_neither_end_a_login_nor_give_it_an_account";
    // by this path: the file may lie where that user cannot go
    let mut nobody = Command::new("/proc/self/exe");
    nobody.args(["--exact", test, "--ignored", "--nocapture"]).uid(NOBODY).gid(NOBODY).current_dir("/");
    let accounts = Accounts::start(Manner::Grants);
    let bed = with_client(&accounts);
    let login = Login::start(&bed, ID);
    let back = sent_back(&login.address);
    let (origin, _) = back.split_once("/callback").expect("where the browser comes back to");
    let no = back.replace("code=", "error=");
    for address in [back.as_str(), &no, &format!("{origin}/login")] {
        let output = nobody.env(OPENS, address).output().expect("root, which can be nobody");
        let answer = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        assert!(answer.contains("HTTP/1.1 403 ") && answer.contains("as the user who logs in"), "{answer}");
        assert!(!answer.contains("Location"), "{answer}");
    }
    assert_eq!(accounts.seen(), ["GET /authorize"]);
    // the same from the user's own browser works
    assert!(get(&back).0.starts_with("HTTP/1.1 200"));
    let output = login.ends();
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(said.matches("another user's program").count(), 1, "{said}");
    assert!(said.contains("paste here the address"), "{said}");
    assert!(logged_in(&bed));
}
