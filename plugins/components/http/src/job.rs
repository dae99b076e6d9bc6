//! A request as a mapping writes it, filled in. Pure.

use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use template::{Unfilled, Values, plain};

/// Methods that can be sent twice without doing more than once (RFC 9110, 9.2.2).
const REPEATABLE: [&str; 6] = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"];
/// Retries of those, unless said otherwise.
const RETRIES: u32 = 2;
/// Most retries.
const MAX_RETRIES: u32 = 8;
/// Bounds of a request's time, in milliseconds: a call has 5 s.
const TIMEOUT_MS: std::ops::RangeInclusive<u32> = 100..=4_000;
/// A request's time unless said otherwise, in milliseconds.
const DEFAULT_TIMEOUT_MS: u32 = 3_000;
/// Most headers.
const MAX_HEADERS: usize = 32;
/// Longest event's name, in bytes: what midimon takes.
const MAX_EVENT: usize = 64;

/// The parameters of the action `request`.
#[derive(Clone, Debug, Deserialize)]
pub struct Given {
    method: Option<String>,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
    json: Option<Map<String, Value>>,
    timeout_ms: Option<u32>,
    retries: Option<u32>,
    event: Option<String>,
    capture: Option<String>,
}

/// A request, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// `GET` and so on.
    pub method: String,
    /// Where to.
    pub url: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Option<String>,
    /// How long it may take, in milliseconds.
    pub timeout_ms: u32,
    /// How often it is sent again.
    pub retries: u32,
    /// The event that tells of the answer.
    pub event: String,
    /// Which part of the answer it tells: a JSON pointer (RFC 6901).
    pub capture: Option<String>,
}

/// Why it cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// A template.
    #[error("{place}: {why}")]
    Unfilled {
        /// Which parameter.
        place: String,
        /// Why not.
        why: Unfilled,
    },
    /// Two bodies.
    #[error("'body' and 'json' exclude each other")]
    TwoBodies,
    /// Out of range.
    #[error("'{name}' is {given}: it goes from {from} to {to}")]
    Range {
        /// Which.
        name: &'static str,
        /// As given.
        given: u32,
        /// Lowest.
        from: u32,
        /// Highest.
        to: u32,
    },
    /// Too many headers.
    #[error("a request has at most {MAX_HEADERS} headers")]
    Headers,
    /// A name midimon would not take.
    #[error("'event' has 1 to {MAX_EVENT} bytes and no control characters")]
    Event,
    /// Not a JSON pointer.
    #[error("'capture' is a JSON pointer, as /state/brightness")]
    Capture,
    /// A secret in a place where it would be seen.
    #[error("{{token}} may stand in headers and the body only: addresses are logged")]
    Token,
}

impl Job {
    /// Fills in what was given. `token` is the user's secret, for headers and the body.
    pub fn new(given: Given, values: &Values, token: &str) -> Result<Self, Misfit> {
        let at = |place: &str| {
            let place = place.to_owned();
            move |why| Misfit::Unfilled { place, why }
        };
        if given.url.contains("{token}") {
            return Err(Misfit::Token);
        }
        let method = given
            .method
            .unwrap_or_else(|| if given.body.is_some() || given.json.is_some() { "POST" } else { "GET" }.into());
        // what is filled in is a part of a path or a query, never a host or another parameter
        let url = values.fill(&given.url, percent_encoded).map_err(at("url"))?;
        if given.headers.len() > MAX_HEADERS {
            return Err(Misfit::Headers);
        }
        let mut headers = Vec::new();
        for (name, template) in given.headers {
            let filled = with_token(&template, token, |part| values.fill(part, plain)).map_err(at(&name))?;
            headers.push((name, filled));
        }
        let template = match (given.body, given.json) {
            (Some(_), Some(_)) => return Err(Misfit::TwoBodies),
            (Some(body), None) => Some(body),
            (None, Some(json)) => Some(templates_of_numbers(&Value::Object(json).to_string())),
            (None, None) => None,
        };
        let looks_like_json = |text: &str| text.trim_start().starts_with(['{', '[']);
        let body = match template {
            Some(template) if looks_like_json(&template) => {
                Some(with_token(&template, token, |part| values.fill(part, json_escaped)).map_err(at("body"))?)
            }
            Some(template) => Some(with_token(&template, token, |part| values.fill(part, plain)).map_err(at("body"))?),
            None => None,
        };
        if let Some(body) = &body
            && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        {
            let kind = if serde_json::from_str::<serde::de::IgnoredAny>(body).is_ok() {
                "application/json"
            } else {
                "text/plain; charset=utf-8"
            };
            headers.push(("Content-Type".to_owned(), kind.to_owned()));
        }
        let within = |name, given: u32, from, to| {
            if (from..=to).contains(&given) { Ok(given) } else { Err(Misfit::Range { name, given, from, to }) }
        };
        let timeout_ms = given.timeout_ms.unwrap_or(DEFAULT_TIMEOUT_MS);
        let usual = if REPEATABLE.contains(&method.as_str()) { RETRIES } else { 0 };
        let event = given.event.unwrap_or_else(|| "response".to_owned());
        if event.is_empty() || event.len() > MAX_EVENT || event.contains(char::is_control) {
            return Err(Misfit::Event);
        }
        if given.capture.as_ref().is_some_and(|capture| !capture.starts_with('/')) {
            return Err(Misfit::Capture);
        }
        Ok(Self {
            url,
            headers,
            body,
            timeout_ms: within("timeout_ms", timeout_ms, *TIMEOUT_MS.start(), *TIMEOUT_MS.end())?,
            retries: within("retries", given.retries.unwrap_or(usual), 0, MAX_RETRIES)?,
            event,
            capture: given.capture,
            method,
        })
    }
}

/// Fills in what is around `{token}`, and the token as it is.
fn with_token(
    template: &str,
    token: &str,
    fill: impl Fn(&str) -> Result<String, Unfilled>,
) -> Result<String, Unfilled> {
    let filled: Result<Vec<String>, Unfilled> = template.split("{token}").map(fill).collect();
    Ok(filled?.join(token))
}

/// In a JSON text, `"{velocity}"` that is a whole string stands for the number itself.
fn templates_of_numbers(json: &str) -> String {
    const NUMBERS: [&str; 7] = ["velocity", "value", "fraction", "note", "controller", "channel", "time"];
    NUMBERS.iter().fold(json.to_owned(), |text, name| text.replace(&format!("\"{{{name}}}\""), &format!("{{{name}}}")))
}

fn percent_encoded(text: &str) -> String {
    midimon_plugin::http::percent_encode(text)
}

/// As the inside of a JSON string.
fn json_escaped(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn values() -> Values {
        Values {
            velocity: Some(64),
            value: Some(64),
            fraction: Some(0.5),
            device: Some("a\"&/ü".into()),
            ..Values::default()
        }
    }

    fn job(given: Value) -> Result<Job, Misfit> {
        Job::new(serde_json::from_value(given).expect("parameters"), &values(), "s3cret")
    }

    fn header<'j>(job: &'j Job, name: &str) -> &'j str {
        job.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    #[test]
    fn a_method_follows_from_the_body_unless_it_is_said() {
        assert_eq!(job(json!({ "url": "http://a/" })).unwrap().method, "GET");
        assert_eq!(job(json!({ "url": "http://a/", "body": "x" })).unwrap().method, "POST");
        assert_eq!(job(json!({ "url": "http://a/", "method": "PUT", "json": {} })).unwrap().method, "PUT");
    }

    #[test]
    fn what_is_filled_in_stays_what_it_is_wherever_it_stands() {
        let job = job(json!({
            "url": "http://a/{device}?v={velocity}",
            "headers": { "X-Device": "{device}", "Authorization": "Bearer {token}" },
            "body": r#"{"device": "{device}", "v": {velocity}, "t": "{token}"}"#,
        }))
        .unwrap();
        assert_eq!(job.url, "http://a/a%22%26%2F%C3%BC?v=64");
        assert_eq!(header(&job, "X-Device"), "a\"&/ü");
        assert_eq!(header(&job, "Authorization"), "Bearer s3cret");
        assert_eq!(job.body.as_deref(), Some(r#"{"device": "a\"&/ü", "v": 64, "t": "s3cret"}"#));
        assert_eq!(header(&job, "Content-Type"), "application/json");
    }

    #[test]
    fn numbers_in_a_json_table_are_numbers_and_a_plain_body_is_itself() {
        let table =
            job(json!({ "url": "http://a/", "json": { "on": true, "b": "{velocity}", "n": "v{velocity}" } })).unwrap();
        let body: Value = serde_json::from_str(table.body.as_deref().unwrap()).unwrap();
        assert_eq!(body, json!({ "on": true, "b": 64, "n": "v64" }));
        let plain = job(json!({ "url": "http://a/", "body": "v={velocity}" })).unwrap();
        assert_eq!(
            (plain.body.as_deref(), header(&plain, "Content-Type")),
            (Some("v=64"), "text/plain; charset=utf-8")
        );
        let said = job(json!({ "url": "http://a/", "body": "{}", "headers": { "content-type": "x/y" } })).unwrap();
        assert_eq!(said.headers, [("content-type".to_owned(), "x/y".to_owned())]);
    }

    #[test]
    fn only_what_can_be_repeated_is_unless_it_is_said() {
        let retries = |method: &str, retries: Option<u32>| {
            job(json!({ "url": "http://a/", "method": method, "retries": retries })).map(|job| job.retries)
        };
        assert_eq!([retries("GET", None), retries("PUT", None), retries("POST", None)], [Ok(2), Ok(2), Ok(0)]);
        assert_eq!([retries("POST", Some(3)), retries("GET", Some(0))], [Ok(3), Ok(0)]);
        assert!(matches!(retries("GET", Some(9)), Err(Misfit::Range { .. })));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for (given, word) in [
            (json!({ "url": "http://a/{channel}" }), "url: this trigger has no channel"),
            (json!({ "url": "http://a/?t={token}" }), "headers and the body only"),
            (json!({ "url": "http://a/", "body": "x", "json": {} }), "exclude"),
            (json!({ "url": "http://a/", "timeout_ms": 99 }), "100 to 4000"),
            (json!({ "url": "http://a/", "headers": { "X": "{nonsense}" } }), "X: {nonsense}"),
            (json!({ "url": "http://a/", "event": "" }), "'event'"),
            (json!({ "url": "http://a/", "capture": "state" }), "JSON pointer"),
        ] {
            let error = job(given).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
        let headers: BTreeMap<String, String> = (0..33).map(|number| (format!("X-{number}"), String::new())).collect();
        assert_eq!(job(json!({ "url": "http://a/", "headers": headers })), Err(Misfit::Headers));
    }
}
