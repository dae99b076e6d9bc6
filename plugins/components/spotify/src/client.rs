//! Requests with the login: renewed when it must be, once again where that can help, and none
//! while Spotify wants none.

use crate::command::Request;
use crate::reply::{LOG_IN, Renewal, Verdict, judge, renewal};
use crate::session::{LoginSettings, Session};
use midimon_plugin::http::{self, HttpError, HttpErrorKind, Response};
use midimon_plugin::{Error, Host, Level};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime};

/// Where the Web API is.
const API: &str = "https://api.spotify.com/v1";
/// Where the accounts service gives tokens.
const TOKENS: &str = "https://accounts.spotify.com/api/token";
/// All requests of one call together; midimon ends a call after 5 s.
const BUDGET: Duration = Duration::from_millis(4_500);
/// One request.
const PATIENCE: Duration = Duration::from_millis(2_500);
/// What is lost where the login cannot be written down.
const LOGIN_LOST: &str = "the renewed login cannot be kept, and ends with this process";
/// The same where a limit cannot.
const LIMIT_LOST: &str = "Spotify's limit cannot be kept, and is forgotten at a restart";
/// Largest response, in bytes; a track with its markets has some tens of thousands.
const MAX_BODY: usize = 512 * 1024;

/// Why a request did not do what it should.
#[derive(Debug)]
pub enum Failure {
    /// There is no player, or not this one.
    NoPlayer(String),
    /// Anything else.
    Other(String),
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let (Failure::NoPlayer(words) | Failure::Other(words)) = failure;
        Self::new(words)
    }
}

/// See the module.
pub struct Client {
    host: Host,
    http: http::Client,
    api: String,
    tokens: String,
    client_id: String,
    data: Option<PathBuf>,
    session: Option<Session>,
    /// What was said to be lost: that is said once.
    told: BTreeSet<&'static str>,
    until: Instant,
}

impl Client {
    /// With the user's settings, and what was kept of the login.
    pub fn new(host: Host, settings: LoginSettings, api: &str, tokens: &str) -> Self {
        let data = host.data_dir();
        let kept = data.as_deref().and_then(Session::load);
        let session = Session::of(&settings, kept.clone());
        // tokens that nobody will use do not lie about
        if (session.is_none() || session != kept)
            && let Some(Err(error)) = data.as_deref().map(Session::forget)
        {
            host.log(Level::Warn, &format!("the login that ended cannot be deleted: {error}"));
        }
        let or = |given: &str, usual: &str| if given.is_empty() { usual.to_owned() } else { given.to_owned() };
        Self {
            host,
            http: http::Client::new(host),
            api: or(api.trim_end_matches('/'), API),
            tokens: or(tokens, TOKENS),
            client_id: settings.client_id,
            data,
            session,
            told: BTreeSet::new(),
            until: Instant::now(),
        }
    }

    /// A call begins: its requests share its time.
    pub fn begin(&mut self) {
        self.until = Instant::now() + BUDGET;
    }

    /// Sends a request and gives the body of the response that says it is done.
    pub fn send(&mut self, request: &Request) -> Result<Vec<u8>, Failure> {
        let (mut renewed, mut again) = (false, request.may_be_repeated());
        loop {
            let access = self.access(&mut renewed)?;
            let verdict = match self.exchange(request, &access) {
                Ok(response) => match judge(response.status(), response.header("retry-after"), response.body()) {
                    Verdict::Done => return Ok(response.body().to_vec()),
                    verdict => verdict,
                },
                Err(error) => self.unsent(&error),
            };
            match verdict {
                Verdict::Renew if !renewed => self.change(Session::spoil, None),
                Verdict::Renew => {
                    return Err(Failure::Other(format!("Spotify does not take the login any more: {LOG_IN}")));
                }
                Verdict::Broken(_) if again && Instant::now() < self.until => again = false,
                Verdict::Quiet(seconds) => return Err(self.keep_quiet(seconds)),
                Verdict::NoPlayer(words) => return Err(Failure::NoPlayer(words)),
                Verdict::Broken(words) | Verdict::Failed(words) => return Err(Failure::Other(words)),
                Verdict::Done => {} // cannot be: it was returned
            }
        }
    }

    fn exchange(&self, request: &Request, access: &str) -> Result<Response, HttpError> {
        let url = format!("{}{}", self.api, request.path);
        let mut asked = http::Request::new(request.method, &url).header("Authorization", &format!("Bearer {access}"));
        if let Some(body) = &request.body {
            asked = asked.header("Content-Type", "application/json").body(body.to_string());
        }
        self.http.send(&asked.no_redirects().timeout(self.left()).max_body(MAX_BODY))
    }

    fn left(&self) -> Duration {
        // at least a little: a request without any time would say that it was too late, and not why
        self.until.saturating_duration_since(Instant::now()).clamp(Duration::from_millis(100), PATIENCE)
    }

    /// A token that holds; `renewed` says whether it was got just now.
    fn access(&mut self, renewed: &mut bool) -> Result<String, Failure> {
        let now = now();
        let Some(session) = &self.session else {
            return Err(Failure::Other(format!("nobody is logged in to Spotify: {LOG_IN}")));
        };
        if let Some(left) = session.quiet(now) {
            return Err(Failure::Other(quiet_words(left)));
        }
        if let Some(access) = session.access(now) {
            return Ok(access.to_owned());
        }
        let Some(refresh) = session.refresh() else {
            return Err(Failure::Other(format!("the login has ended: {LOG_IN}")));
        };
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh), ("client_id", &self.client_id)];
        let asked = http::Request::post(&self.tokens).form(&form).no_redirects();
        let response = match self.http.send(&asked.timeout(self.left()).max_body(MAX_BODY)) {
            Ok(response) => response,
            Err(error) => {
                let (Verdict::Broken(words) | Verdict::Failed(words)) = self.unsent(&error) else {
                    return Err(Failure::Other(error.to_string()));
                };
                return Err(Failure::Other(words));
            }
        };
        match renewal(response.status(), response.header("retry-after"), response.body()) {
            Renewal::Renewed(tokens) => {
                *renewed = true;
                let access = tokens.access_token.clone();
                // kept before it is used: the refresh token before it may be no good any more
                self.change(|session| session.renew(tokens, now), Some(LOGIN_LOST));
                Ok(access)
            }
            Renewal::Over(words) => {
                self.change(Session::end, None);
                Err(Failure::Other(words))
            }
            Renewal::Quiet(seconds) => Err(self.keep_quiet(seconds)),
            Renewal::Failed(words) => Err(Failure::Other(words)),
        }
    }

    fn keep_quiet(&mut self, seconds: u64) -> Failure {
        self.change(|session| session.keep_quiet(now(), seconds), Some(LIMIT_LOST));
        Failure::Other(quiet_words(seconds))
    }

    /// Changes the login and keeps it; or says what is lost, where a restart loses more than a request.
    fn change(&mut self, change: impl FnOnce(&mut Session), lost: Option<&'static str>) {
        let Some(session) = &mut self.session else { return };
        change(session);
        let saved = match &self.data {
            Some(dir) => session.save(dir).map_err(|error| error.to_string()),
            None => Err("`midimon plugin grant spotify filesystem` lets it".to_owned()),
        };
        if let (Err(why), Some(lost)) = (saved, lost)
            && self.told.insert(lost)
        {
            self.host.log(Level::Warn, &format!("{lost}: {why}"));
        }
    }

    fn unsent(&self, error: &HttpError) -> Verdict {
        match error.kind() {
            HttpErrorKind::NotGranted => Verdict::Failed(format!(
                "{error}: `midimon plugin grant spotify network:HOST:PORT` for {} and {}",
                host_of(&self.api),
                host_of(&self.tokens)
            )),
            HttpErrorKind::TimedOut => Verdict::Failed(format!("Spotify did not answer in time ({error})")),
            HttpErrorKind::Failed => Verdict::Broken(format!("Spotify cannot be reached ({error})")),
            _ => Verdict::Failed(format!("the request to Spotify failed: {error}")),
        }
    }
}

/// The host and port an address leads to, as a grant names them.
fn host_of(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let host = rest.split('/').next().unwrap_or_default();
    let port = if scheme == "http" { 80 } else { 443 };
    if host.contains(':') { host.to_owned() } else { format!("{host}:{port}") }
}

fn quiet_words(seconds: u64) -> String {
    format!("Spotify wants no more requests for {seconds} s: nothing was sent")
}

/// Seconds since the Unix epoch.
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
