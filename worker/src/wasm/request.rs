//! The JSON a guest is called with. All of it but the event is written once, when the action is bound.

use crate::params::Params;
use midimon_shared::context::TriggerStamp;
use serde::Serialize;
use serde_json::{Value, to_value, to_writer};

/// The request around its context:
/// `{"action":…,"context":{…},"parameters":[…],"params":{…}}`.
/// Plugins of the MIDIMon interface know `action` and `context`; the rest is new and theirs to ignore.
#[derive(Debug)]
pub struct Template {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl Template {
    /// For an action with its parameters.
    pub fn new(action: &str, params: &Params) -> Self {
        let texts: Vec<&str> = params.texts.iter().map(|(_, value)| value.as_str()).collect();
        let before = format!("{{\"action\":{},\"context\":{{\"velocity\":", json(action));
        let after = format!(",\"metadata\":{{}}}},\"parameters\":{},\"params\":{}}}", json(texts), params.json);
        Self { before: before.into_bytes(), after: after.into_bytes() }
    }

    /// Writes the request for one event.
    pub fn write(&self, stamp: &TriggerStamp, request: &mut Vec<u8>) {
        request.clear();
        request.extend_from_slice(&self.before);
        number_or_null(stamp.velocity, request);
        request.extend_from_slice(b",\"current_mode\":");
        number_or_null(stamp.mode, request);
        request.extend_from_slice(b",\"timestamp\":");
        number_or_null(Some(stamp.unix_ms), request);
        request.extend_from_slice(&self.after);
    }
}

fn json(value: impl Serialize) -> Value {
    to_value(value).unwrap_or_default() // cannot fail: strings and lists of strings
}

fn number_or_null(number: Option<impl Into<u64>>, request: &mut Vec<u8>) {
    let _ = to_writer(request, &number.map(Into::into)); // cannot fail: a Vec takes every write
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(action: &str, params: &str, stamp: TriggerStamp) -> String {
        let mut request = b"left over".to_vec();
        Template::new(action, &Params::parse(params.into()).unwrap()).write(&stamp, &mut request);
        String::from_utf8(request).unwrap()
    }

    #[test]
    fn the_request_is_the_old_one_and_the_mappings_parameters() {
        let stamp =
            TriggerStamp { velocity: Some(100), mode: Some(2), unix_ms: 1_700_000_000_123, ..TriggerStamp::default() };
        assert_eq!(
            request("play", r#"{"playlist":"Coding","n":1}"#, stamp),
            r#"{"action":"play","context":{"velocity":100,"current_mode":2,"timestamp":1700000000123,"metadata":{}},"parameters":["Coding","1"],"params":{"playlist":"Coding","n":1}}"#
        );
        assert_eq!(
            request("a\"\n", "", TriggerStamp::default()),
            r#"{"action":"a\"\n","context":{"velocity":null,"current_mode":null,"timestamp":0,"metadata":{}},"parameters":[],"params":{}}"#
        );
    }

    #[test]
    fn texts_inside_a_request_cannot_break_out_of_it() {
        let stamp = TriggerStamp { unix_ms: u64::MAX, ..TriggerStamp::default() };
        let text = request("\"},\"x\":{\"", r#"{"a":"\"],\"params\":7,\"z\":[\""}"#, stamp);
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["action"], "\"},\"x\":{\"");
        assert_eq!(value["parameters"][0], "\"],\"params\":7,\"z\":[\"");
        assert_eq!(value["context"]["timestamp"], u64::MAX);
        assert_eq!(value.as_object().unwrap().len(), 4);
    }

    proptest! {
        #[test]
        fn whatever_is_in_it_a_request_is_one_object_with_all_of_that(
            action in any::<String>(), name in any::<String>(), value in any::<String>(), mode: Option<u16>,
        ) {
            let params = serde_json::json!({ &name: &value }).to_string();
            let text = request(&action, &params, TriggerStamp { mode, ..TriggerStamp::default() });
            let read: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!((&read["action"], &read["parameters"][0]), (&Value::from(action), &Value::from(value.clone())));
            prop_assert_eq!((&read["params"][&name], &read["context"]["current_mode"]), (&Value::from(value), &Value::from(mode)));
        }
    }
}
