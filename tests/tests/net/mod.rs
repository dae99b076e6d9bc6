//! The guest of the network tests, in its worker, under a daemon.
#![allow(dead_code)] // each test program uses a part of it

use midimon::control::protocol::Request;
use midimon_tests::binaries::Binaries;
use midimon_tests::{Bed, Config, Daemon};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Its id.
pub const ID: &str = "net-guest";

/// A component that speaks to whom it is told.
pub struct NetGuest {
    bed: Bed,
    daemon: Daemon,
}

impl NetGuest {
    /// Which asks for these hosts and ports, and is granted them.
    pub fn granted(targets: &[&str]) -> Self {
        Self::with(Bed::new(), targets, targets, "timeout_ms = 20000", &[])
    }

    /// Which asks for some and is granted some, with more settings and the daemon's environment.
    pub fn with(bed: Bed, asked: &[&str], granted: &[&str], settings: &str, environment: &[(&str, &str)]) -> Self {
        let code = std::fs::read(Binaries::get().plugin(ID).join("net_guest.wasm")).expect("the fixture's code");
        let targets: Vec<_> = asked.iter().map(|target| format!("\"{target}\"")).collect();
        let mut manifest = String::new();
        if !targets.is_empty() {
            let targets = targets.join(", ");
            write!(
                manifest,
                "[[capabilities]]\ncapability = \"network\"\ntargets = [{targets}]\nreason = \"a test\"\n"
            )
            .expect("a string");
        }
        bed.write_plugin(ID, "net_guest.wasm", &code, &manifest);
        let grants: Vec<_> = granted.iter().map(|target| format!("\"network:{target}\"")).collect();
        let settings = format!("grants = [{}]\n{settings}", grants.join(", "));
        bed.configure(&Config::new().plugin(ID, &settings));
        let daemon = bed.start_in(&["--input", "stdin"], environment);
        daemon.wait_ready(ID);
        Self { bed, daemon }
    }

    /// Its answer to an action, or its error's words.
    pub fn call(&self, action: &str, params: Value) -> Result<String, String> {
        let Value::Object(params) = params else { panic!("parameters are an object") };
        let id = ID.parse().expect("a plugin id");
        self.daemon.call(&Request::PluginCall {
            id,
            action: action.to_owned(),
            params: params.into_iter().collect(),
            velocity: None,
        })
    }

    /// What a GET of a host and port brings.
    pub fn get(&self, authority: &str) -> Result<String, String> {
        self.call("fetch", json!({ "authority": authority }))
    }

    /// The error of a request, which must have one.
    pub fn refusal(&self, request: Value) -> String {
        match self.call("fetch", request.clone()) {
            Ok(answer) => panic!("{request}: {answer}\n{}", self.daemon.log_text()),
            Err(error) => error,
        }
    }

    /// The daemon.
    pub fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// The audit log's lines about what it used.
    pub fn uses(&self) -> Vec<Value> {
        let output = self.bed.run(&["audit", ID, "--json", "-n", "1000"]);
        let text = String::from_utf8(output.stdout).expect("text");
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
        lines.filter(|line| line["event"] == "use").collect()
    }
}

/// The words of an answer that must be an error and name this.
#[track_caller]
pub fn names(error: &str, name: &str) {
    assert!(error.contains(name), "{name} expected, not {error}");
}
