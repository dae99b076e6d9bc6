//! What follows what in one session. Pure: texts in, texts and findings out.

use crate::protocol::{self, Event, Incoming, Malformed, RPC_VERSION, Reply, Request};
use std::collections::VecDeque;

/// Most events kept for whoever takes them; the oldest go first.
const MAX_EVENTS: usize = 256;

/// Where a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing was heard yet.
    Greeting,
    /// We said who we are.
    Identifying,
    /// Requests can be made.
    Ready,
}

/// The answer somebody waits for.
#[derive(Debug)]
enum Awaited {
    Nothing,
    Id(String),
    Here(Vec<Reply>),
}

/// Why a session cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// It speaks something else.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It speaks an older version.
    #[error("this OBS speaks version {0} of obs-websocket's RPC; {RPC_VERSION} is needed: update OBS")]
    Version(u64),
    /// A password is wanted, and there is none.
    #[error("OBS asks for a password: set it with `midimon plugin config set obs password`")]
    NoPassword,
    /// Messages in an order the protocol does not have.
    #[error("what answers there speaks out of turn: is it OBS?")]
    OutOfTurn,
}

/// One session, from `Hello` on.
#[derive(Debug)]
pub struct Session {
    password: String,
    stage: Stage,
    last_id: u64,
    awaited: Awaited,
    events: VecDeque<Event>,
}

impl Session {
    /// Before the first message.
    pub const fn new(password: String) -> Self {
        let events = VecDeque::new();
        Self { password, stage: Stage::Greeting, last_id: 0, awaited: Awaited::Nothing, events }
    }

    /// Whether requests can be made.
    pub fn is_ready(&self) -> bool {
        self.stage == Stage::Ready
    }

    /// Takes a message; what comes back is to be sent.
    pub fn receive(&mut self, text: &str) -> Result<Option<String>, Broken> {
        match (protocol::read(text)?, self.stage) {
            (Incoming::Hello { rpc_version, challenge }, Stage::Greeting) => {
                if rpc_version < RPC_VERSION {
                    return Err(Broken::Version(rpc_version));
                }
                let answer = match challenge {
                    Some(_) if self.password.is_empty() => return Err(Broken::NoPassword),
                    Some(challenge) => Some(challenge.answer(&self.password)),
                    None => None,
                };
                self.stage = Stage::Identifying;
                return Ok(Some(protocol::identify(answer)));
            }
            (Incoming::Identified, Stage::Identifying) => self.stage = Stage::Ready,
            (Incoming::Event(event), Stage::Ready) => {
                if self.events.len() == MAX_EVENTS {
                    self.events.pop_front();
                }
                self.events.push_back(event);
            }
            (Incoming::Response { id, reply }, Stage::Ready) => self.arrived(&id, vec![reply]),
            (Incoming::Batch { id, replies }, Stage::Ready) => self.arrived(&id, replies),
            (Incoming::Other, _) => {}
            _ => return Err(Broken::OutOfTurn),
        }
        Ok(None)
    }

    /// Makes a request; the text is to be sent. An earlier one that was not answered is given up.
    pub fn request(&mut self, request: &Request) -> String {
        let id = self.next_id();
        protocol::request(&id, request)
    }

    /// Makes several at once.
    pub fn batch(&mut self, requests: &[Request]) -> String {
        let id = self.next_id();
        protocol::batch(&id, requests)
    }

    /// The replies to the latest request, once they are there: one, or the batch's.
    pub fn take_replies(&mut self) -> Option<Vec<Reply>> {
        match std::mem::replace(&mut self.awaited, Awaited::Nothing) {
            Awaited::Here(replies) => Some(replies),
            other => {
                self.awaited = other;
                None
            }
        }
    }

    /// The oldest event not taken yet.
    pub fn take_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn next_id(&mut self) -> String {
        self.last_id += 1;
        let id = self.last_id.to_string();
        self.awaited = Awaited::Id(id.clone());
        id
    }

    /// An answer to what nobody waits for any more is let go.
    fn arrived(&mut self, id: &str, replies: Vec<Reply>) {
        if matches!(&self.awaited, Awaited::Id(awaited) if awaited == id) {
            self.awaited = Awaited::Here(replies);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const HELLO: &str = r#"{"op":0,"d":{"obsWebSocketVersion":"5.5.2","rpcVersion":1}}"#;
    const LOCKED: &str = r#"{"op":0,"d":{"rpcVersion":1,"authentication":{"challenge":"c","salt":"s"}}}"#;
    const IDENTIFIED: &str = r#"{"op":2,"d":{"negotiatedRpcVersion":1}}"#;

    fn ready() -> Session {
        let mut session = Session::new(String::new());
        assert!(session.receive(HELLO).unwrap().is_some());
        assert_eq!(session.receive(IDENTIFIED).unwrap(), None);
        assert!(session.is_ready());
        session
    }

    fn event(number: usize) -> String {
        json!({ "op": 5, "d": { "eventType": "E", "eventIntent": 1, "eventData": { "n": number } } }).to_string()
    }

    fn response(id: &str) -> String {
        let status = json!({ "result": true, "code": 100 });
        json!({ "op": 7, "d": { "requestType": "R", "requestId": id, "requestStatus": status } }).to_string()
    }

    #[test]
    fn the_password_is_answered_where_one_is_asked_for_and_only_there() {
        let field = |password: &str, hello: &str| {
            let sent = Session::new(password.into()).receive(hello).unwrap().unwrap();
            serde_json::from_str::<Value>(&sent).unwrap()["d"]["authentication"].clone()
        };
        assert!(field("secret", LOCKED).is_string());
        assert_eq!(field("secret", HELLO), Value::Null);
        assert!(matches!(Session::new(String::new()).receive(LOCKED), Err(Broken::NoPassword)));
    }

    #[test]
    fn an_older_rpc_version_is_named() {
        let old = Session::new(String::new()).receive(r#"{"op":0,"d":{"rpcVersion":0}}"#).unwrap_err();
        assert!(old.to_string().contains("speaks version 0"), "{old}");
    }

    #[test]
    fn messages_out_of_turn_break_the_session() {
        for first in [IDENTIFIED, &event(1), &response("1")] {
            assert!(matches!(Session::new(String::new()).receive(first), Err(Broken::OutOfTurn)), "{first}");
        }
        assert!(matches!(ready().receive(HELLO), Err(Broken::OutOfTurn)));
        assert!(matches!(ready().receive("nonsense"), Err(Broken::Malformed(_))));
    }

    #[test]
    fn only_the_answer_that_is_waited_for_is_taken() {
        let mut session = ready();
        session.request(&Request::plain("R"));
        session.request(&Request::plain("R"));
        session.receive(&response("1")).unwrap();
        session.receive(&response("3")).unwrap();
        assert!(session.take_replies().is_none());
        session.receive(&response("2")).unwrap();
        session.receive(&response("2")).unwrap();
        assert_eq!(session.take_replies().map(|replies| replies.len()), Some(1));
        assert!(session.take_replies().is_none());
    }

    #[test]
    fn a_flood_of_events_leaves_the_latest() {
        let mut session = ready();
        for number in 0..1_000 {
            session.receive(&event(number)).unwrap();
        }
        let numbers: Vec<u64> =
            std::iter::from_fn(|| session.take_event()).map(|event| event.data["n"].as_u64().unwrap()).collect();
        assert_eq!((numbers.len(), numbers[0], numbers[255]), (MAX_EVENTS, 744, 999));
    }
}
