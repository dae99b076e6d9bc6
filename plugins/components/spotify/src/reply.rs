//! What the Web API and the accounts service answer, and what to do about it. Pure.

use crate::player::shown;
use serde::Deserialize;

/// What is waited where a 429 does not say, in seconds.
const QUIET_S: u64 = 5;
/// Longest time that is believed, in seconds: a day. Spotify has asked for many hours.
pub const MAX_QUIET_S: u64 = 24 * 60 * 60;

/// What to say where the login does not hold.
pub const LOG_IN: &str = "`midimon plugin login spotify`";

/// What to do about an answer of the Web API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is done.
    Done,
    /// The access token has ended.
    Renew,
    /// Nothing is to be asked for so many seconds.
    Quiet(u64),
    /// It may work the next time.
    Broken(String),
    /// There is no player.
    NoPlayer(String),
    /// It does not work.
    Failed(String),
}

#[derive(Deserialize)]
struct Complaint {
    error: Error,
}

#[derive(Default, Deserialize)]
struct Error {
    #[serde(default)]
    message: String,
    #[serde(default)]
    reason: String,
}

/// Judges an answer, with its `Retry-After` where it has one.
#[must_use]
pub fn judge(status: u16, retry_after: Option<&str>, body: &[u8]) -> Verdict {
    let Error { message, reason } =
        serde_json::from_slice::<Complaint>(body).map(|complaint| complaint.error).unwrap_or_default();
    let said = if message.is_empty() { format!("status {status}") } else { shown(&message) };
    match status {
        200..=299 => Verdict::Done,
        401 => Verdict::Renew,
        403 if reason == "PREMIUM_REQUIRED" || message.to_lowercase().contains("premium") => Verdict::Failed(
            "Spotify lets only Premium accounts be controlled, that of whoever made the client id included".to_owned(),
        ),
        403 if message.to_lowercase().contains("scope") => {
            Verdict::Failed(format!("the login does not allow that ({said}): {LOG_IN} asks for all that is needed"))
        }
        403 => {
            Verdict::Failed(format!("Spotify refuses that now ({said}): it may be so already, or this device cannot"))
        }
        404 if reason == "NO_ACTIVE_DEVICE" => Verdict::NoPlayer(crate::command::Cannot::NoDevice.to_string()),
        404 => Verdict::NoPlayer(format!("Spotify does not find that ({said})")),
        429 => {
            let seconds = retry_after.and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(QUIET_S);
            Verdict::Quiet(seconds.clamp(1, MAX_QUIET_S))
        }
        500..=599 => Verdict::Broken(format!("Spotify is out of order ({said}): try again later")),
        _ => Verdict::Failed(format!("Spotify refuses that ({said})")),
    }
}

/// What the accounts service gives for a refresh token.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Renewed {
    /// The new access token.
    pub access_token: String,
    /// How long it holds, in seconds.
    #[serde(default = "an_hour")]
    pub expires_in: u64,
    /// What takes the place of the refresh token, where it was taken.
    #[serde(default)]
    pub refresh_token: Option<String>,
}

const fn an_hour() -> u64 {
    3600
}

/// What came of renewing.
#[derive(Clone, PartialEq, Eq)]
pub enum Renewal {
    /// Tokens.
    Renewed(Renewed),
    /// The login has ended.
    Over(String),
    /// Nothing is to be asked for so many seconds.
    Quiet(u64),
    /// It may work the next time.
    Failed(String),
}

#[derive(Default, Deserialize)]
struct Refusal {
    #[serde(default)]
    error: String,
    #[serde(default)]
    error_description: String,
}

/// Judges what the accounts service answers to a refresh token (RFC 6749, 5.1 and 5.2).
#[must_use]
pub fn renewal(status: u16, retry_after: Option<&str>, body: &[u8]) -> Renewal {
    if status == 200 {
        let is_token = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        return match serde_json::from_slice::<Renewed>(body) {
            Ok(renewed) if is_token(&renewed.access_token) && renewed.refresh_token.as_deref().is_none_or(is_token) => {
                Renewal::Renewed(renewed)
            }
            _ => Renewal::Failed("Spotify's accounts service answers with what is no token".to_owned()),
        };
    }
    if let Verdict::Quiet(seconds) = judge(status, retry_after, &[]) {
        return Renewal::Quiet(seconds);
    }
    let refusal = serde_json::from_slice::<Refusal>(body).unwrap_or_default();
    let said = match (refusal.error.as_str(), refusal.error_description.as_str()) {
        ("", _) => format!("status {status}"),
        (error, "") => shown(error),
        (error, words) => format!("{}: {}", shown(error), shown(words)),
    };
    match refusal.error.as_str() {
        "invalid_grant" => {
            Renewal::Over(format!("the login has ended, as each does after six months ({said}): {LOG_IN}"))
        }
        "invalid_client" | "unauthorized_client" => Renewal::Failed(format!(
            "Spotify does not take the client id ({said}): `midimon plugin config set spotify client_id CLIENT_ID`, then {LOG_IN}"
        )),
        _ => Renewal::Failed(format!("the login cannot be renewed now ({said})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: u16, message: &str, reason: &str) -> Verdict {
        let body = format!(r#"{{"error":{{"status":{status},"message":"{message}","reason":"{reason}"}}}}"#);
        judge(status, None, body.as_bytes())
    }

    fn words(verdict: Verdict) -> String {
        match verdict {
            Verdict::Failed(words) | Verdict::NoPlayer(words) | Verdict::Broken(words) => words,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_documented_answer_says_what_to_do() {
        for status in [200, 202, 204] {
            assert_eq!(judge(status, None, b""), Verdict::Done);
        }
        assert_eq!(verdict(401, "The access token expired", ""), Verdict::Renew);
        let premium = words(verdict(403, "Player command failed: Premium required", "PREMIUM_REQUIRED"));
        assert!(premium.contains("Premium accounts"), "{premium}");
        let scope = words(verdict(403, "Insufficient client scope", ""));
        assert!(scope.contains(LOG_IN), "{scope}");
        let restricted = words(verdict(403, "Player command failed: Restriction violated", "UNKNOWN"));
        assert!(restricted.contains("Restriction violated"), "{restricted}");
        let nowhere = verdict(404, "Player command failed: No active device found", "NO_ACTIVE_DEVICE");
        assert!(words(nowhere.clone()).contains("play something on one of your devices"), "{nowhere:?}");
        assert!(words(verdict(404, "Device not found", "")).contains("Device not found"));
        assert!(matches!(judge(503, None, b"<html>"), Verdict::Broken(words) if words.contains("status 503")));
        assert!(words(verdict(400, "Only valid bearer authentication supported", "")).contains("bearer"));
        assert_eq!(judge(302, None, b""), Verdict::Failed("Spotify refuses that (status 302)".into()));
    }

    #[test]
    fn nothing_of_a_strangers_words_draws_on_a_terminal_or_goes_on_for_ever() {
        let body = format!(r#"{{"error":{{"message":"\u001b[2J{}"}}}}"#, "x".repeat(5000));
        let said = words(judge(400, None, body.as_bytes()));
        assert!(said.len() < 200 && !said.contains('\u{1b}'), "{said}");
    }

    #[test]
    fn a_limit_is_kept_as_long_as_it_says_within_a_day() {
        let quiet = |retry_after| judge(429, retry_after, b"");
        assert_eq!(quiet(Some("30")), Verdict::Quiet(30));
        assert_eq!(quiet(Some("0")), Verdict::Quiet(1));
        assert_eq!((quiet(None), quiet(Some("soon"))), (Verdict::Quiet(QUIET_S), Verdict::Quiet(QUIET_S)));
        assert_eq!(quiet(Some("18446744073709551615")), Verdict::Quiet(MAX_QUIET_S));
        assert!(matches!(renewal(429, Some("7"), b""), Renewal::Quiet(7)));
    }

    #[test]
    fn a_login_is_renewed_over_or_for_later() {
        let renewed = |body: &str| match renewal(200, None, body.as_bytes()) {
            Renewal::Renewed(renewed) => Some(renewed),
            _ => None,
        };
        let full =
            renewed(r#"{"access_token":"a","expires_in":60,"refresh_token":"r","token_type":"Bearer"}"#).unwrap();
        assert_eq!((full.expires_in, full.refresh_token.as_deref()), (60, Some("r")));
        assert_eq!(renewed(r#"{"access_token":"a"}"#).unwrap().refresh_token, None);
        for bad in [
            "",
            "{}",
            r#"{"access_token":""}"#,
            r#"{"access_token":"a\nb"}"#,
            r#"{"access_token":"a","refresh_token":""}"#,
        ] {
            assert!(renewed(bad).is_none(), "{bad}");
        }
        let over = renewal(400, None, br#"{"error":"invalid_grant","error_description":"Refresh token revoked"}"#);
        assert!(
            matches!(over, Renewal::Over(words) if words.contains("Refresh token revoked") && words.contains(LOG_IN))
        );
        let client = renewal(400, None, br#"{"error":"invalid_client"}"#);
        assert!(matches!(client, Renewal::Failed(words) if words.contains("config set spotify client_id")));
        assert!(matches!(renewal(502, None, b"<html>"), Renewal::Failed(words) if words.contains("status 502")));
    }
}
