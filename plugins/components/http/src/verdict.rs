//! What came of a request, and what to do about it. Pure.

use serde_json::Value;

/// First wait before a request is sent again, in milliseconds; it doubles.
const FIRST_MS: u64 = 500;
/// Longest wait, also where the server asks for more, in milliseconds.
const LONGEST_MS: u64 = 60_000;
/// Longest event's value, in bytes: what midimon takes.
const MAX_VALUE: usize = 1024;
/// What an error or an answer shows of a body, in characters.
const MAX_SHOWN: usize = 200;

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// With a response.
    Response {
        /// Its status.
        status: u16,
        /// `Retry-After`, where it has one.
        retry_after: Option<String>,
        /// Its body.
        body: Vec<u8>,
    },
    /// Without one, for a reason that may pass.
    Broken(String),
    /// Without one, for good.
    Refused(String),
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It worked; the event's value, and what is said.
    Done {
        /// The body, or the part of it that was asked for.
        value: String,
        /// For people.
        said: String,
    },
    /// Send it again after so many milliseconds.
    Again {
        /// How long to wait.
        after_ms: u64,
        /// Why.
        why: String,
    },
    /// It did not work.
    Failed(String),
}

/// Judges the attempt after `sent` earlier ones, of at most `retries` more.
pub fn judge(attempt: Attempt, capture: Option<&str>, sent: u32, retries: u32) -> Verdict {
    let (why, after_ms) = match attempt {
        Attempt::Response { status: status @ 200..=299, body, .. } => return done(status, &body, capture),
        // only these say that it may be different later (RFC 9110, 15.5 and 15.6; RFC 6585)
        Attempt::Response { status: status @ (408 | 425 | 429 | 500 | 502 | 503 | 504), retry_after, body } => {
            let asked = retry_after.and_then(|text| text.trim().parse::<u64>().ok());
            (complaint(status, &body), asked.map(|seconds| seconds.saturating_mul(1000)))
        }
        Attempt::Response { status, body, .. } => return Verdict::Failed(complaint(status, &body)),
        Attempt::Broken(why) => (why, None),
        Attempt::Refused(why) => return Verdict::Failed(why),
    };
    if sent >= retries {
        let tries = if sent == 0 { String::new() } else { format!(" (tried {} times)", sent + 1) };
        return Verdict::Failed(format!("{why}{tries}"));
    }
    let backoff = FIRST_MS << sent.min(16);
    // never sooner than the server asks for, but not later than anybody remembers
    Verdict::Again { after_ms: after_ms.unwrap_or(backoff).max(backoff).min(LONGEST_MS), why }
}

fn done(status: u16, body: &[u8], capture: Option<&str>) -> Verdict {
    let value = match capture {
        None => shown(&String::from_utf8_lossy(body), MAX_VALUE),
        Some(pointer) => {
            let json = serde_json::from_slice::<Value>(body);
            let Ok(json) = json else {
                return Verdict::Failed(format!("the response is no JSON, so it has no {pointer}"));
            };
            match json.pointer(pointer) {
                None => return Verdict::Failed(format!("the response has no {pointer}")),
                Some(Value::String(text)) => shown(text, MAX_VALUE),
                Some(other) => shown(&other.to_string(), MAX_VALUE),
            }
        }
    };
    let said = format!("{status} {}", first(&value));
    Verdict::Done { said: said.trim_end().to_owned(), value }
}

fn complaint(status: u16, body: &[u8]) -> String {
    let body = first(&String::from_utf8_lossy(body));
    if body.is_empty() { format!("the server says {status}") } else { format!("the server says {status}: {body}") }
}

fn shown(text: &str, most: usize) -> String {
    text[..text.floor_char_boundary(most)].to_owned()
}

/// The beginning, on one line.
fn first(text: &str) -> String {
    text.trim().chars().take(MAX_SHOWN).map(|character| if character.is_control() { ' ' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(status: u16, body: &str) -> Attempt {
        Attempt::Response { status, retry_after: None, body: body.into() }
    }

    #[test]
    fn a_response_is_told_whole_or_in_part() {
        let body = r#"{"state": {"on": true, "name": "lamp"}}"#;
        let value = |capture| match judge(response(200, body), capture, 0, 0) {
            Verdict::Done { value, .. } => value,
            other => panic!("{other:?}"),
        };
        assert_eq!(value(None), body);
        assert_eq!(value(Some("/state/on")), "true");
        assert_eq!(value(Some("/state/name")), "lamp");
        assert_eq!(value(Some("/state")), r#"{"on":true,"name":"lamp"}"#);
        let absent = judge(response(200, body), Some("/x"), 0, 5);
        assert_eq!(absent, Verdict::Failed("the response has no /x".into()));
        assert!(matches!(judge(response(204, ""), Some("/x"), 0, 5), Verdict::Failed(_)));
        let long = judge(response(200, &"ü".repeat(2_000)), None, 0, 0);
        assert!(matches!(long, Verdict::Done { value, .. } if value.len() == MAX_VALUE));
    }

    #[test]
    fn what_may_pass_is_sent_again_with_waits_that_double() {
        let waits: Vec<Option<u64>> = (0..4)
            .map(|sent| match judge(Attempt::Broken("refused".into()), None, sent, 3) {
                Verdict::Again { after_ms, .. } => Some(after_ms),
                _ => None,
            })
            .collect();
        assert_eq!(waits, [Some(500), Some(1000), Some(2000), None]);
        let last = judge(Attempt::Broken("refused".into()), None, 3, 3);
        assert_eq!(last, Verdict::Failed("refused (tried 4 times)".into()));
        for status in [429, 503] {
            assert!(matches!(judge(response(status, ""), None, 0, 1), Verdict::Again { .. }), "{status}");
        }
    }

    #[test]
    fn what_is_wrong_stays_wrong() {
        for status in [301, 400, 401, 404, 501] {
            let failed = judge(response(status, "no\nway"), None, 0, 8);
            assert_eq!(failed, Verdict::Failed(format!("the server says {status}: no way")));
        }
        assert_eq!(judge(Attempt::Refused("not granted".into()), None, 0, 8), Verdict::Failed("not granted".into()));
    }

    #[test]
    fn the_server_says_how_long_to_wait_within_reason() {
        let wait = |retry_after: &str, sent| {
            let attempt = Attempt::Response { status: 429, retry_after: Some(retry_after.into()), body: vec![] };
            match judge(attempt, None, sent, 8) {
                Verdict::Again { after_ms, .. } => after_ms,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(
            [wait("3", 0), wait(" 0 ", 2), wait("99999999999999999999", 0), wait("18446744073709551615", 0)],
            [3000, 2000, 500, LONGEST_MS]
        );
        assert_eq!(wait("Fri, 31 Dec 1999 23:59:59 GMT", 1), 1000);
    }
}
