//! One login, from the address the browser opens to the code it comes back with. Pure.

use super::url::{form, pairs};
use crate::plugins::manifest::LoginSpec;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// Random bytes a login takes: 32 for its state, 32 for its verifier (RFC 7636, 4.1).
pub const RANDOM: usize = 64;
/// Where on loopback the browser comes back to.
pub const CALLBACK: &str = "/callback";
/// Where on loopback the desktop's browser begins.
pub const START: &str = "/login";
/// Longest code, in bytes; services send some hundreds.
const MAX_CODE: usize = 4096;
/// What is kept of a service's error, in characters.
const MAX_WORDS: usize = 200;

/// The address a service sends the browser back to. Spotify and others take 127.0.0.1 and
/// not `localhost`, as RFC 8252 (8.3) advises.
#[must_use]
pub fn redirect_uri(port: u16) -> String {
    format!("http://127.0.0.1:{port}{CALLBACK}")
}

/// One login. Shows none of its secrets when printed.
pub struct Flow {
    client_id: String,
    redirect: String,
    state: Zeroizing<String>,
    verifier: Zeroizing<String>,
}

impl fmt::Debug for Flow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Flow").field("redirect", &self.redirect).finish_non_exhaustive()
    }
}

/// What an address says that somebody came back with.
#[derive(PartialEq, Eq)]
pub enum Answer {
    /// None yet: a browser wants to be sent to the service, which one is.
    Begin,
    /// Not the address the service was given.
    Elsewhere,
    /// It is not of this login: its state is missing or another one.
    NotThisLogin,
    /// It makes no sense.
    Unreadable,
    /// The user or the service said no.
    Refused {
        /// As the service says it, in a word (RFC 6749, 4.1.2.1).
        error: String,
        /// The same in a sentence, where there is one.
        description: String,
    },
    /// The code.
    Code(Zeroizing<String>),
}

impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Begin => "Begin",
            Self::Elsewhere => "Elsewhere",
            Self::NotThisLogin => "NotThisLogin",
            Self::Unreadable => "Unreadable",
            Self::Refused { error, .. } => return write!(formatter, "Refused({error:?})"),
            Self::Code(_) => "Code",
        })
    }
}

impl Flow {
    /// Begins one, with the answer to come back to this port.
    #[must_use]
    pub fn new(client_id: &str, port: u16, random: &[u8; RANDOM]) -> Self {
        let (state, verifier) = random.split_at(RANDOM / 2);
        let text = |bytes: &[u8]| Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes));
        Self {
            client_id: client_id.to_owned(),
            redirect: redirect_uri(port),
            state: text(state),
            verifier: text(verifier),
        }
    }

    /// Where the service sends the browser back to.
    #[must_use]
    pub fn redirect(&self) -> &str {
        &self.redirect
    }

    /// Where the desktop's browser begins, to be sent on to [`Self::authorize_url`]: what a desktop is asked to
    /// open stands in command lines, which every user of the computer can read, and this has nothing of the login.
    /// It leads on once: a plugin that may connect to this port is a program of the user's, too.
    #[must_use]
    pub fn start(&self) -> String {
        format!("{}{START}", self.origin())
    }

    fn origin(&self) -> &str {
        self.redirect.strip_suffix(CALLBACK).unwrap_or(&self.redirect)
    }

    /// The address the service is asked at (RFC 6749, 4.1.1; RFC 7636, 4.3).
    #[must_use]
    pub fn authorize_url(&self, spec: &LoginSpec) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier.as_bytes()));
        let scopes = spec.scopes.join(" ");
        let mut pairs = vec![
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", &self.redirect),
            ("state", &self.state),
            ("code_challenge_method", "S256"),
            ("code_challenge", &challenge),
        ];
        if !scopes.is_empty() {
            pairs.push(("scope", &scopes));
        }
        spec.authorize_url.with(&pairs)
    }

    /// Reads what the browser came back with: a path with its query.
    #[must_use]
    pub fn read(&self, target: &str) -> Answer {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        match path {
            START => return Answer::Begin,
            CALLBACK => {}
            _ => return Answer::Elsewhere,
        }
        let Some(pairs) = pairs(query) else { return Answer::Unreadable };
        let value = |wanted: &str| pairs.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        // first, so that nobody else can end the login
        if value("state") != Some(self.state.as_str()) {
            return Answer::NotThisLogin;
        }
        let words = |text: &str| text.chars().take(MAX_WORDS).collect();
        match (value("error"), value("code")) {
            (Some(error), _) => Answer::Refused {
                error: words(error),
                description: words(value("error_description").unwrap_or_default()),
            },
            (None, Some(code)) if is_code(code) => Answer::Code(Zeroizing::new(code.to_owned())),
            _ => Answer::Unreadable,
        }
    }

    /// Reads an address somebody pasted: the whole one, or its path.
    #[must_use]
    pub fn read_pasted(&self, text: &str) -> Answer {
        let text = text.trim();
        self.read(text.strip_prefix(self.origin()).unwrap_or(text))
    }

    /// What the service is sent for its tokens (RFC 6749, 4.1.3; RFC 7636, 4.5).
    #[must_use]
    pub fn token_form(&self, code: &str) -> Zeroizing<String> {
        Zeroizing::new(form(&[
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect),
            ("client_id", &self.client_id),
            ("code_verifier", &self.verifier),
        ]))
    }
}

/// RFC 6749, A.11.
fn is_code(text: &str) -> bool {
    (1..=MAX_CODE).contains(&text.len()) && text.bytes().all(|byte| (0x20..=0x7E).contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn flow() -> Flow {
        Flow::new("abc&d", 4711, &[7; RANDOM])
    }

    #[test]
    fn the_address_has_the_hash_of_the_verifier_and_never_the_verifier() {
        // RFC 7636, appendix B: the same 32 bytes, the same verifier, the same challenge
        let octets = [
            116, 24, 223, 180, 151, 153, 224, 37, 79, 250, 96, 125, 216, 173, 187, 186, 22, 212, 37, 77, 105, 214, 191,
            240, 91, 88, 5, 88, 83, 132, 141, 121,
        ];
        let mut random = [0; RANDOM];
        random[32..].copy_from_slice(&octets);
        let flow = Flow::new("abc", 4711, &random);
        let form = flow.token_form("the code");
        assert!(form.ends_with("&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"), "{}", *form);
        assert!(form.starts_with("grant_type=authorization_code&code=the%20code&"), "{}", *form);
        let url = flow.authorize_url(&LoginSpec::testing());
        assert!(url.contains("&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"), "{url}");
        assert!(url.contains("&code_challenge_method=S256&") && !url.contains("dBjft"), "{url}");
        assert!(url.starts_with("https://accounts.example.org/authorize?show=1&response_type=code&client_id=abc&"));
        assert!(url.contains("redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcallback&"), "{url}");
        assert!(url.ends_with("&scope=read%20write%3Aall"), "{url}");
    }

    #[test]
    fn what_the_desktop_is_asked_to_open_has_nothing_of_the_login() {
        let flow = flow();
        assert_eq!(flow.start(), "http://127.0.0.1:4711/login");
        assert_eq!((flow.read("/login"), flow.read("/login?code=a")), (Answer::Begin, Answer::Begin));
    }

    #[test]
    fn a_code_counts_with_the_state_of_this_login_only() {
        let flow = flow();
        let state = flow.state.to_string();
        let code = |text: &str| Answer::Code(Zeroizing::new(text.to_owned()));
        assert_eq!(flow.read(&format!("/callback?code=xyz&state={state}")), code("xyz"));
        assert_eq!(flow.read(&format!("/callback?state={state}&code=a%2Bb+c&iss=x")), code("a+b c"));
        for other in ["/callback?code=xyz", "/callback?code=xyz&state=", "/callback?code=xyz&state=abc", "/callback"] {
            assert_eq!(flow.read(other), Answer::NotThisLogin, "{other}");
        }
        // nobody else can say no in the user's name
        assert_eq!(flow.read("/callback?error=access_denied&state=abc"), Answer::NotThisLogin);
        for elsewhere in ["/", "/favicon.ico", "/callback/", "/CALLBACK", "", "?code=xyz"] {
            assert_eq!(flow.read(elsewhere), Answer::Elsewhere, "{elsewhere}");
        }
        let twice = format!("/callback?code=a&code=b&state={state}");
        let none = format!("/callback?state={state}");
        let odd = format!("/callback?code=%00&state={state}");
        let long = format!("/callback?code={}&state={state}", "x".repeat(MAX_CODE + 1));
        for unreadable in [twice, none, odd, long] {
            assert_eq!(flow.read(&unreadable), Answer::Unreadable, "{unreadable}");
        }
    }

    #[test]
    fn a_no_is_told_in_the_services_words_and_not_more_of_them() {
        let flow = flow();
        let query = format!("error=access_denied&error_description={}&state={}", "x".repeat(1000), *flow.state);
        let Answer::Refused { error, description } = flow.read(&format!("/callback?{query}")) else { panic!() };
        assert_eq!((error.as_str(), description.len()), ("access_denied", MAX_WORDS));
    }

    #[test]
    fn an_address_can_be_pasted_whole_or_from_its_path_on() {
        let flow = flow();
        let tail = format!("?code=xyz&state={}", *flow.state);
        for text in [format!(" http://127.0.0.1:4711/callback{tail}\r\n"), format!("/callback{tail}")] {
            assert!(matches!(flow.read_pasted(&text), Answer::Code(_)), "{text}");
        }
        for text in [format!("http://127.0.0.1:4712/callback{tail}"), format!("https://evil.example/callback{tail}")] {
            assert_eq!(flow.read_pasted(&text), Answer::Elsewhere, "{text}");
        }
    }

    #[test]
    fn nothing_of_a_login_is_shown_by_accident() {
        let flow = flow();
        let answer = flow.read(&format!("/callback?code=s3cret&state={}", *flow.state));
        let shown = format!("{flow:?} {answer:?}");
        assert!(!shown.contains("s3cret") && !shown.contains(flow.state.as_str()), "{shown}");
        assert!(!shown.contains(flow.verifier.as_str()), "{shown}");
    }

    proptest! {
        #[test]
        fn what_comes_back_ends_the_login_it_is_of_and_no_other(
            before in "(code|error|x)?=?[ -~]{0,9}&", after in "(&(code|error|state)=[ -~]{0,9}){0,2}",
        ) {
            let (ours, theirs) = (flow(), Flow::new("abc&d", 4711, &[8; RANDOM]));
            let target = format!("/callback?{before}state={}{after}", *ours.state);
            prop_assert!(!matches!(theirs.read(&target), Answer::Code(_) | Answer::Refused { .. }), "{}", target);
            if let Answer::Code(code) = ours.read(&target) {
                prop_assert!(is_code(&code) && target.contains("code="), "{}", target);
            }
            let pasted = format!(" {}{}\n", ours.redirect(), target.strip_prefix(CALLBACK).unwrap());
            prop_assert_eq!(ours.read_pasted(&pasted), ours.read(target.trim_end()));
        }
    }
}
