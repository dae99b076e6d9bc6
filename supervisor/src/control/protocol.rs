//! What goes over the control socket: lines of JSON.
//!
//! The server speaks first: a [`Hello`]. Then each line from the client is a
//! [`Request`] and gets one line back, a [`Response`]. After the response to
//! [`Request::Monitor`] the server sends [`crate::monitor::MonitorEvent`]s, a
//! line each, until the client hangs up. A client need not wait for the hello
//! before it asks.

use midimon_shared::PluginId;
use serde::{Deserialize, Serialize};

/// The version of this protocol; it changes when old clients would misunderstand.
pub const PROTOCOL: u32 = 1;

/// Longest line a client may send, in bytes without its newline.
pub const MAX_REQUEST: usize = 64 * 1024;

/// Longest line a server may send, in bytes without its newline.
pub const MAX_RESPONSE: usize = 16 * 1024 * 1024;

/// The server's first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The daemon's version.
    pub midimon: String,
    /// The protocol's version.
    pub protocol: u32,
}

impl Hello {
    /// This program's.
    #[must_use]
    pub fn ours() -> Self {
        Self { midimon: env!("CARGO_PKG_VERSION").to_owned(), protocol: PROTOCOL }
    }
}

/// Parameters of a plugin's action, by name.
pub type Params = serde_json::Map<String, serde_json::Value>;

/// What a client can ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// [`super::model::Status`].
    Status,
    /// A list of [`crate::workers::status::WorkerStatus`].
    WorkerList,
    /// One [`crate::workers::status::WorkerStatus`] with its log lines.
    WorkerInspect {
        /// Which.
        id: PluginId,
    },
    /// Restarts a worker; its [`crate::workers::status::WorkerStatus`] afterwards.
    WorkerRestart {
        /// Which.
        id: PluginId,
    },
    /// Reads the configuration again; a [`super::model::ReloadReport`].
    Reload,
    /// Installed plugins, their grants or settings have changed; a
    /// [`super::model::PluginsReport`] when that is in effect.
    PluginsChanged,
    /// Calls an action of a plugin; its answer, a text.
    PluginCall {
        /// Which plugin.
        id: PluginId,
        /// The action, as mappings name it.
        action: String,
        /// The action's parameters.
        params: Params,
        /// The velocity it is told, 0 to 127 (more is 127); none when missing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        velocity: Option<u8>,
    },
    /// Releases everything; null.
    Panic,
    /// Stops the daemon; null, then the connection ends.
    Stop,
    /// Shows or changes the mode; a [`super::model::ModeReport`].
    Mode {
        /// Where to; nowhere when missing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<ModeTarget>,
    },
    /// [`super::model::Ports`].
    Ports,
    /// Events from now on.
    Monitor,
}

impl Request {
    /// Whether its answer may take long.
    #[must_use]
    pub const fn is_slow(&self) -> bool {
        matches!(
            self,
            Self::Reload | Self::PluginsChanged | Self::PluginCall { .. } | Self::WorkerRestart { .. } | Self::Ports
        )
    }
}

/// Which mode to go to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModeTarget {
    /// The one after this, round about.
    Next,
    /// The one before this, round about.
    Previous,
    /// The one of this name.
    Name(String),
}

/// The server's answer to one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Response {
    /// What was asked for.
    Ok(serde_json::Value),
    /// Why not.
    Error(Refusal),
}

/// Why a request was not fulfilled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// For programs.
    pub code: ErrorCode,
    /// For people; says what to do. Can have several lines.
    pub message: String,
}

impl Refusal {
    /// A refusal with this code and message.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorCode {
    /// Not a request of this protocol.
    BadRequest,
    /// The line was longer than [`MAX_REQUEST`]; the connection ends.
    TooLong,
    /// Another user's process; the connection ends.
    Forbidden,
    /// Every place for a client is taken by one at work; the connection ends.
    Busy,
    /// No plugin or mode of that name.
    NotFound,
    /// The configuration has errors; the old one is still in force.
    Config,
    /// The daemon took too long; what was asked may still happen.
    Timeout,
    /// It was tried, and did not work.
    Failed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn requests_read_as_documented() {
        let read = |text: &str| serde_json::from_str::<Request>(text);
        assert_eq!(read(r#"{"request":"status"}"#).unwrap(), Request::Status);
        assert_eq!(read(r#"{"request":"mode"}"#).unwrap(), Request::Mode { to: None });
        assert_eq!(read(r#"{"request":"mode","to":"next"}"#).unwrap(), Request::Mode { to: Some(ModeTarget::Next) });
        assert_eq!(
            read(r#"{"request":"mode","to":{"name":"DJ"}}"#).unwrap(),
            Request::Mode { to: Some(ModeTarget::Name("DJ".into())) }
        );
        assert_eq!(
            read(r#"{"request":"worker-inspect","id":"echo"}"#).unwrap(),
            Request::WorkerInspect { id: "echo".parse().unwrap() }
        );
        for bad in [r#"{"request":"worker-inspect","id":"../x"}"#, r#"{"request":"fly"}"#, "{}", "[]", "status"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn responses_have_one_key_that_tells_them_apart() {
        let ok = serde_json::to_string(&Response::Ok(serde_json::json!({"a": 1}))).unwrap();
        assert_eq!(ok, r#"{"ok":{"a":1}}"#);
        let error = Response::Error(Refusal::new(ErrorCode::NotFound, "no"));
        assert_eq!(serde_json::to_string(&error).unwrap(), r#"{"error":{"code":"not-found","message":"no"}}"#);
    }

    fn any_request() -> impl Strategy<Value = Request> {
        let id = || "[a-z0-9][a-z0-9_-]{1,63}".prop_map(|id| id.parse().unwrap());
        let params = prop::collection::btree_map(any::<String>(), any::<(String, i64)>(), 0..4);
        let params = params
            .prop_map(|params| params.into_iter().map(|(name, value)| (name, serde_json::json!(value))).collect());
        let to = prop_oneof![
            Just(ModeTarget::Next),
            Just(ModeTarget::Previous),
            any::<String>().prop_map(ModeTarget::Name),
        ];
        prop_oneof![
            id().prop_map(|id| Request::WorkerInspect { id }),
            id().prop_map(|id| Request::WorkerRestart { id }),
            (id(), any::<String>(), params, any::<Option<u8>>())
                .prop_map(|(id, action, params, velocity)| Request::PluginCall { id, action, params, velocity }),
            prop::option::of(to).prop_map(|to| Request::Mode { to }),
        ]
    }

    proptest! {
        #[test]
        fn a_request_is_one_line_and_read_back_as_the_same(request in any_request(), noise in "[{\\[\":,a-z0-9}\\]]{0,40}") {
            let line = serde_json::to_string(&request).unwrap();
            prop_assert!(!line.contains('\n'), "{}", line);
            prop_assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), request);
            let _ = serde_json::from_str::<Request>(&noise);
        }
    }
}
