//! The guest of the network tests, in its worker, under a daemon.

use crate::binaries::Binaries;
use crate::{Bed, Config, Daemon};
use midimon::control::protocol::Request;
use serde_json::{Value, json};

/// Its id.
pub const ID: &str = "net-guest";

/// A component that speaks to whom it is told.
#[derive(Debug)]
pub struct NetGuest {
    daemon: Daemon,
    bed: Bed,
}

impl NetGuest {
    /// Which asks for these hosts and ports, and is granted them.
    ///
    /// # Panics
    /// As [`Self::with`].
    #[must_use]
    pub fn granted(targets: &[&str]) -> Self {
        Self::with(Bed::new(), targets, targets, "timeout_ms = 20000")
    }

    /// Which asks for some and is granted some, in a bed, with more settings as lines of TOML.
    ///
    /// # Panics
    /// It was not built, or does not become ready.
    #[must_use]
    pub fn with(bed: Bed, asked: &[&str], granted: &[&str], settings: &str) -> Self {
        let code = std::fs::read(Binaries::get().plugin(ID).join("net_guest.wasm")).expect("the fixture's code");
        let manifest = match asked {
            [] => String::new(),
            targets => {
                format!("[[capabilities]]\ncapability = \"network\"\ntargets = {targets:?}\nreason = \"a test\"\n")
            }
        };
        bed.write_plugin(ID, "net_guest.wasm", &code, &manifest);
        let grants: Vec<_> = granted.iter().map(|target| format!("network:{target}")).collect();
        bed.configure(&Config::new().plugin(ID, &format!("grants = {grants:?}\n{settings}")));
        let daemon = bed.start();
        daemon.wait_ready(ID);
        Self { daemon, bed }
    }

    /// Its answer to an action with parameters, a JSON object.
    ///
    /// # Errors
    /// Its own words, or midimon's.
    ///
    /// # Panics
    /// The parameters are no object.
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
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn get(&self, authority: &str) -> Result<String, String> {
        self.call("fetch", json!({ "authority": authority }))
    }

    /// The error of a request, which must have one.
    ///
    /// # Panics
    /// It has none.
    pub fn refusal(&self, request: Value) -> String {
        match self.call("fetch", request.clone()) {
            Ok(answer) => panic!("{request}: {answer}\n{}", self.daemon.log_text()),
            Err(error) => error,
        }
    }

    /// The daemon.
    #[must_use]
    pub const fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// The audit log's lines about what it used.
    ///
    /// # Panics
    /// There is nothing of it.
    #[must_use]
    pub fn uses(&self) -> Vec<Value> {
        self.bed.audit(ID).into_iter().filter(|line| line["event"] == "use").collect()
    }
}

/// Holds the words of an error to naming this.
///
/// # Panics
/// They do not.
#[track_caller]
pub fn names(error: &str, name: &str) {
    assert!(error.contains(name), "{name} expected, not {error}");
}
