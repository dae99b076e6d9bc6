//! What a service answers when it is asked for tokens. Pure; every byte is a stranger's.

use serde::Deserialize;
use std::fmt;
use zeroize::Zeroizing;

/// Longest time a token is believed to hold, in seconds: ten years.
const MAX_LIFE: u64 = 10 * 366 * 24 * 60 * 60;
/// What is shown of a service's error, in characters.
const MAX_WORDS: usize = 200;

/// What a login is for. Shows nothing of it when printed.
#[derive(PartialEq, Eq)]
pub struct Tokens {
    /// For requests.
    pub access: Zeroizing<String>,
    /// For the next access token.
    pub refresh: Zeroizing<String>,
    /// Until when the access token holds, in seconds since the Unix epoch.
    pub expires_at: Option<u64>,
    /// What was allowed, where the service says that it is not all that was asked for.
    pub scopes: Option<Vec<String>>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tokens").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// Why there are no tokens.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum TokenError {
    /// RFC 6749, 5.2.
    #[error("it says {error:?}{}", if description.is_empty() { String::new() } else { format!(": {description:?}") })]
    Refused { error: String, description: String },
    #[error("it answers with the status {0}")]
    Status(u16),
    /// Without one the login would end with the first access token.
    #[error("it gives no refresh_token")]
    NoRefresh,
    #[error("its answer is not what RFC 6749 (5.1) says: {0}")]
    Odd(&'static str),
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: String,
    #[serde(default)]
    refresh_token: Option<String>,
    #[serde(default)]
    expires_in: Option<u64>,
    #[serde(default)]
    scope: Option<String>,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// Reads the answer that came at this time, in seconds since the Unix epoch.
///
/// # Errors
/// It is a no, or nothing that could be used.
pub fn read(status: u16, body: &[u8], now: u64) -> Result<Tokens, TokenError> {
    if status != 200 {
        let words = |text: &str| text.chars().take(MAX_WORDS).collect();
        return Err(match serde_json::from_slice::<Refused>(body) {
            Ok(refused) => {
                TokenError::Refused { error: words(&refused.error), description: words(&refused.error_description) }
            }
            Err(_) => TokenError::Status(status),
        });
    }
    let odd = |what| Err(TokenError::Odd(what));
    let Ok(granted) = serde_json::from_slice::<Granted>(body) else {
        return odd("it is no JSON object with access_token and token_type");
    };
    if !granted.token_type.eq_ignore_ascii_case("bearer") {
        return odd("its token_type is not Bearer");
    }
    let access = Zeroizing::new(granted.access_token);
    let Some(refresh) = granted.refresh_token.map(Zeroizing::new) else {
        return Err(TokenError::NoRefresh);
    };
    if !is_token(&access) || !is_token(&refresh) {
        return odd("a token is empty or has characters that no header can have");
    }
    // shown as they come: what a terminal would obey is none
    if !granted.scope.as_deref().unwrap_or_default().bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return odd("its scope has characters that none can have");
    }
    Ok(Tokens {
        access,
        refresh,
        expires_at: granted.expires_in.map(|life| now.saturating_add(life.min(MAX_LIFE))),
        scopes: granted.scope.map(|scope| scope.split(' ').filter(|one| !one.is_empty()).map(str::to_owned).collect()),
    })
}

/// RFC 6749, A.12 and A.17, without the space, which no `Authorization` header can have.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = r#"{"access_token":"a-1","token_type":"bearer","refresh_token":"r-1","expires_in":3600,
        "scope":"x  y","more":{}}"#;

    #[test]
    fn tokens_are_taken_with_the_time_they_hold() {
        let tokens = read(200, GOOD.as_bytes(), 1000).unwrap();
        assert_eq!((tokens.access.as_str(), tokens.refresh.as_str()), ("a-1", "r-1"));
        assert_eq!(tokens.expires_at, Some(4600));
        assert_eq!(tokens.scopes, Some(vec!["x".to_owned(), "y".to_owned()]));
        let endless = GOOD.replace("3600", "18446744073709551615");
        assert_eq!(read(200, endless.as_bytes(), u64::MAX - 1).unwrap().expires_at, Some(u64::MAX));
        assert!(!format!("{tokens:?}").contains("-1"));
    }

    #[test]
    fn a_no_has_the_services_words_and_nothing_that_draws() {
        let body = r#"{"error":"invalid_grant","error_description":"Authorization \u001b[2J code expired"}"#;
        let error = read(400, body.as_bytes(), 0).unwrap_err();
        assert_eq!(error.to_string(), r#"it says "invalid_grant": "Authorization \u{1b}[2J code expired""#);
        let long = format!(r#"{{"error":"{}"}}"#, "x".repeat(5000));
        assert!(read(400, long.as_bytes(), 0).unwrap_err().to_string().len() < 300);
        assert_eq!(read(503, b"<html>", 0), Err(TokenError::Status(503)));
        assert_eq!(read(302, GOOD.as_bytes(), 0), Err(TokenError::Status(302)));
    }

    #[test]
    fn what_could_not_be_used_is_refused_whole() {
        assert_eq!(read(200, GOOD.replace("\"r-1\"", "null").as_bytes(), 0), Err(TokenError::NoRefresh));
        for (from, to) in [
            ("bearer", "mac"),
            ("\"a-1\"", "\"\""),
            ("\"a-1\"", "\"a\\nX-Header: 1\""),
            ("\"a-1\"", "\"a b\""),
            ("\"r-1\"", "\"\""),
            ("\"a-1\"", "7"),
            ("3600", "-1"),
            ("\"token_type\":\"bearer\",", ""),
            ("x  y", "x \\u009b2J"),
            ("x  y", "x\\ny"),
        ] {
            let body = GOOD.replace(from, to);
            assert_ne!(body, GOOD);
            assert!(matches!(read(200, body.as_bytes(), 0), Err(TokenError::Odd(_))), "{body}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_is_a_panic(status in 0_u16..600, body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(status, &body, 5);
        }

        #[test]
        fn what_is_taken_fits_a_header_and_a_terminal(access in any::<String>(), refresh in "[!-~]{0,9}", scope in "\\PC{0,9}") {
            let answer = serde_json::json!({
                "access_token": access, "token_type": "Bearer", "refresh_token": refresh, "scope": scope,
            });
            if let Ok(tokens) = read(200, answer.to_string().as_bytes(), 5) {
                prop_assert_eq!((&*tokens.access, &*tokens.refresh), (&access, &refresh));
                prop_assert!(is_token(&access) && is_token(&refresh) && scope.is_ascii());
            }
        }
    }
}
