//! Messages of obs-websocket 5, RPC version 1, as JSON.
//!
//! https://github.com/obsproject/obs-websocket/blob/master/docs/generated/protocol.md
//! Only the shapes are here; what follows what is in `session`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The WebSocket subprotocol of messages in JSON.
pub const SUBPROTOCOL: &str = "obswebsocket.json";
/// The RPC version spoken here.
pub const RPC_VERSION: u64 = 1;
/// Largest message taken, in bytes: answers with lists of hundreds of sources are far below.
pub const MAX_MESSAGE: usize = 1024 * 1024;
/// Kinds of events asked for: general (1), scenes (4), inputs (8), outputs (64), studio mode (1024).
/// Not the loud ones: volume meters and moving sources.
pub const EVENTS: u64 = 1 | 1 << 2 | 1 << 3 | 1 << 6 | 1 << 10;
/// Longest text of OBS that is passed on, in characters.
const MAX_COMMENT: usize = 300;

/// One request, or one of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// Its name in the protocol.
    pub kind: String,
    /// Its fields: an object, or null where it has none.
    pub data: Value,
}

impl Request {
    /// A request with fields.
    pub fn new(kind: &str, data: Value) -> Self {
        Self { kind: kind.to_owned(), data }
    }

    /// A request without fields.
    pub fn plain(kind: &str) -> Self {
        Self::new(kind, Value::Null)
    }

    fn fields(&self) -> Value {
        let mut fields = json!({ "requestType": self.kind });
        if !self.data.is_null() {
            fields["requestData"] = self.data.clone();
        }
        fields
    }
}

/// What OBS answered to a request: the response's data, null where it has none.
pub type Reply = Result<Value, Refused>;

/// OBS did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("OBS refused {kind}: {} (code {code})", comment.as_deref().unwrap_or(words(*code)))]
pub struct Refused {
    /// The request's name.
    pub kind: String,
    /// A `RequestStatus` of the protocol.
    pub code: u64,
    /// What OBS says about it.
    pub comment: Option<String>,
}

/// Something that happened in OBS.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its name in the protocol.
    pub kind: String,
    /// Its fields.
    pub data: Value,
}

/// What OBS sends.
#[derive(Debug)]
pub enum Incoming {
    /// It is there, and perhaps wants a password.
    Hello { rpc_version: u64, challenge: Option<Challenge> },
    /// It knows us.
    Identified,
    /// Something happened.
    Event(Event),
    /// The answer to a request.
    Response { id: String, reply: Reply },
    /// The answers to a batch: as many as were carried out.
    Batch { id: String, replies: Vec<Reply> },
    /// A message of a later version.
    Other,
}

/// What the answer to a request for the password is made of.
#[derive(Debug, Deserialize)]
pub struct Challenge {
    challenge: String,
    salt: String,
}

impl Challenge {
    /// The answer: the password itself is never sent.
    pub fn answer(&self, password: &str) -> String {
        let hash = |first: &str, second: &str| {
            STANDARD.encode(Sha256::new().chain_update(first).chain_update(second).finalize())
        };
        hash(&hash(password, &self.salt), &self.challenge)
    }
}

/// A message that is none of this protocol.
#[derive(Debug, thiserror::Error)]
#[error("what answers there does not speak obs-websocket 5 ({0}): is it OBS 28 or newer?")]
pub struct Malformed(#[from] serde_json::Error);

#[derive(Deserialize)]
struct Envelope {
    op: u64,
    #[serde(default)]
    d: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hello {
    rpc_version: u64,
    authentication: Option<Challenge>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawEvent {
    event_type: String,
    #[serde(default)]
    event_data: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    request_type: String,
    #[serde(default)]
    request_id: String,
    request_status: Status,
    #[serde(default)]
    response_data: Value,
}

#[derive(Deserialize)]
struct Status {
    result: bool,
    code: u64,
    comment: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Batch {
    request_id: String,
    results: Vec<Response>,
}

impl Response {
    fn reply(self) -> Reply {
        let Status { result, code, comment } = self.request_status;
        let comment = comment.map(|comment| comment.chars().take(MAX_COMMENT).collect());
        if result { Ok(self.response_data) } else { Err(Refused { kind: self.request_type, code, comment }) }
    }
}

/// Reads a message.
pub fn read(text: &str) -> Result<Incoming, Malformed> {
    let Envelope { op, d } = serde_json::from_str(text)?;
    Ok(match op {
        0 => {
            let Hello { rpc_version, authentication } = serde_json::from_value(d)?;
            Incoming::Hello { rpc_version, challenge: authentication }
        }
        2 => Incoming::Identified,
        5 => {
            let RawEvent { event_type, event_data } = serde_json::from_value(d)?;
            Incoming::Event(Event { kind: event_type, data: event_data })
        }
        7 => {
            let response: Response = serde_json::from_value(d)?;
            Incoming::Response { id: response.request_id.clone(), reply: response.reply() }
        }
        9 => {
            let Batch { request_id, results } = serde_json::from_value(d)?;
            Incoming::Batch { id: request_id, replies: results.into_iter().map(Response::reply).collect() }
        }
        _ => Incoming::Other,
    })
}

/// Says who we are: the answer to `Hello`.
pub fn identify(authentication: Option<String>) -> String {
    let mut data = json!({ "rpcVersion": RPC_VERSION, "eventSubscriptions": EVENTS });
    if let Some(answer) = authentication {
        data["authentication"] = answer.into();
    }
    json!({ "op": 1, "d": data }).to_string()
}

/// A request as a message.
pub fn request(id: &str, request: &Request) -> String {
    let mut data = request.fields();
    data["requestId"] = id.into();
    json!({ "op": 6, "d": data }).to_string()
}

/// Requests that are carried out one after the other, the rest not where one is refused.
pub fn batch(id: &str, requests: &[Request]) -> String {
    let requests: Vec<Value> = requests.iter().map(Request::fields).collect();
    json!({ "op": 8, "d": { "requestId": id, "haltOnFailure": true, "requests": requests } }).to_string()
}

/// Words for a `RequestStatus` without a comment.
const fn words(code: u64) -> &'static str {
    match code {
        204 => "this OBS does not know the request",
        207 => "OBS is not ready yet",
        300..=499 => "a field is missing or wrong",
        500 => "it runs already",
        501 => "it does not run",
        502 | 503 => "it is paused, or not",
        504 => "it is switched off in OBS's settings",
        506 => "studio mode is off",
        600 => "there is no such scene, source or input",
        604 => "it has no such state",
        _ => "no reason given",
    }
}

/// Why OBS closed the connection, from the code in the close frame (`WebSocketCloseCode`).
pub const fn closed(code: u16) -> &'static str {
    match code {
        4009 => "the password is wrong: set it with `midimon plugin config set obs password`",
        4010 => "this OBS does not speak RPC version 1 of obs-websocket",
        4011 => "OBS ended the session",
        4000..=4012 => "OBS did not understand a message",
        _ => "OBS closed the connection",
    }
}

/// The close code of a wrong or missing password.
pub const CLOSED_UNAUTHENTICATED: u16 = 4009;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_a_challenge_is_that_of_the_published_example() {
        let challenge = Challenge {
            challenge: "+IxH4CnCiqpX1rM9scsNynZzbOe4KhDeYcTNS3PDaeY=".into(),
            salt: "lM1GncleQOaCu9lT1yeUZhFYnqhsLLP1G5lAGo3ixaI=".into(),
        };
        assert_eq!(challenge.answer("supersecretpassword"), "1Ct943GAT+6YQUUX47Ia/ncufilbe6+oD6lY+5kaCu4=");
    }

    #[test]
    fn hello_is_read_with_and_without_a_password() {
        let hello = r#"{"op":0,"d":{"obsStudioVersion":"30.2.2","obsWebSocketVersion":"5.5.2","rpcVersion":1,
            "authentication":{"challenge":"c","salt":"s"}}}"#;
        assert!(matches!(read(hello), Ok(Incoming::Hello { rpc_version: 1, challenge: Some(_) })));
        let open = r#"{"op":0,"d":{"obsWebSocketVersion":"5.1.0","rpcVersion":1}}"#;
        assert!(matches!(read(open), Ok(Incoming::Hello { rpc_version: 1, challenge: None })));
    }

    #[test]
    fn a_response_is_its_data_or_why_not() {
        let done = r#"{"op":7,"d":{"requestType":"ToggleRecord","requestId":"7","requestStatus":{"result":true,"code":100},
            "responseData":{"outputActive":true}}}"#;
        let Ok(Incoming::Response { id, reply }) = read(done) else { panic!("a response") };
        assert_eq!((id.as_str(), reply), ("7", Ok(json!({ "outputActive": true }))));
        let refused = r#"{"op":7,"d":{"requestType":"SetCurrentProgramScene","requestId":"8","requestStatus":
            {"result":false,"code":600,"comment":"No source was found"}}}"#;
        let Ok(Incoming::Response { reply: Err(refused), .. }) = read(refused) else { panic!("a refusal") };
        assert_eq!(refused.to_string(), "OBS refused SetCurrentProgramScene: No source was found (code 600)");
        let silent = Refused { kind: "StopRecord".into(), code: 501, comment: None };
        assert_eq!(silent.to_string(), "OBS refused StopRecord: it does not run (code 501)");
    }

    #[test]
    fn a_batch_has_one_reply_for_each_request_that_was_tried() {
        let text = r#"{"op":9,"d":{"requestId":"b","results":[
            {"requestType":"A","requestStatus":{"result":true,"code":100}},
            {"requestType":"B","requestStatus":{"result":false,"code":204}}]}}"#;
        let Ok(Incoming::Batch { id, replies }) = read(text) else { panic!("a batch") };
        assert_eq!((id.as_str(), replies.len(), replies[0].is_ok(), replies[1].is_ok()), ("b", 2, true, false));
    }

    #[test]
    fn what_is_sent_is_as_published() {
        let value = |text: String| serde_json::from_str::<Value>(&text).unwrap();
        assert_eq!(
            value(identify(Some("x".into()))),
            json!({ "op": 1, "d": { "rpcVersion": 1, "eventSubscriptions": 1101, "authentication": "x" } })
        );
        let scene = Request::new("SetCurrentProgramScene", json!({ "sceneName": "Live" }));
        let fields = json!({ "requestType": "SetCurrentProgramScene", "requestData": { "sceneName": "Live" } });
        let mut with_id = fields.clone();
        with_id["requestId"] = "1".into();
        assert_eq!(value(request("1", &scene)), json!({ "op": 6, "d": with_id }));
        assert_eq!(
            value(batch("2", &[scene, Request::plain("StartRecord")])),
            json!({ "op": 8, "d": { "requestId": "2", "haltOnFailure": true,
                "requests": [fields, { "requestType": "StartRecord" }] } })
        );
    }

    #[test]
    fn nonsense_is_refused_and_later_messages_are_let_pass() {
        for text in
            ["", "[]", "{}", r#"{"op":-1}"#, r#"{"op":0,"d":{}}"#, r#"{"op":7,"d":{"requestId":1}}"#, r#"{"op":5}"#]
        {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(matches!(read(r#"{"op":77,"d":{"a":1}}"#), Ok(Incoming::Other)));
    }
}
