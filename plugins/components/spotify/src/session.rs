//! The login as the plugin keeps it. Pure, but for the file.
//!
//! `midimon plugin login` writes the settings; Spotify takes each refresh token once and gives
//! the next one, which only the plugin sees. It is kept in the data directory together with
//! the refresh token of the settings it came from, so that a new login takes its place.

use crate::reply::{MAX_QUIET_S, Renewed};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};
use std::path::Path;

/// The file's name in the data directory.
const FILE: &str = "session.json";
/// What is written before it takes that name.
const NEXT: &str = "session.new";
/// Largest file that is read, in bytes.
const MAX_FILE: u64 = 64 * 1024;
/// An access token is renewed so many seconds before its end, for clocks that differ.
const EARLY_S: u64 = 60;
/// Longest life of an access token that is believed, in seconds.
const MAX_LIFE_S: u64 = 24 * 60 * 60;

/// What `midimon plugin login` left in the settings.
#[derive(Default)]
pub struct LoginSettings {
    /// The client id, which the user set.
    pub client_id: String,
    /// Empty where nobody is logged in.
    pub refresh_token: String,
    /// The first access token.
    pub access_token: String,
    /// Its end, in seconds since the Unix epoch.
    pub expires_at: u64,
}

/// A login in use. Times are in seconds since the Unix epoch.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The refresh token of the settings this came from.
    origin: String,
    /// The one that holds now; empty when Spotify has ended the login.
    refresh: String,
    access: String,
    expires_at: u64,
    /// Nothing is asked before this time.
    #[serde(default)]
    quiet_until: u64,
}

impl Session {
    /// The login there is: the one that was kept, where it came from the one in the settings.
    /// `None` where nobody is logged in.
    #[must_use]
    pub fn of(settings: &LoginSettings, kept: Option<Self>) -> Option<Self> {
        if settings.refresh_token.is_empty() {
            return None;
        }
        Some(kept.filter(|kept| kept.origin == settings.refresh_token).unwrap_or_else(|| Self {
            origin: settings.refresh_token.clone(),
            refresh: settings.refresh_token.clone(),
            access: settings.access_token.clone(),
            expires_at: settings.expires_at,
            quiet_until: 0,
        }))
    }

    /// The access token, where it holds for a while yet.
    #[must_use]
    pub fn access(&self, now: u64) -> Option<&str> {
        let holds = !self.access.is_empty() && self.expires_at > now.saturating_add(EARLY_S);
        holds.then_some(self.access.as_str())
    }

    /// The refresh token, unless the login is over.
    #[must_use]
    pub fn refresh(&self) -> Option<&str> {
        Some(self.refresh.as_str()).filter(|refresh| !refresh.is_empty())
    }

    /// Takes what was renewed.
    pub fn renew(&mut self, renewed: Renewed, now: u64) {
        self.access = renewed.access_token;
        self.expires_at = now.saturating_add(renewed.expires_in.min(MAX_LIFE_S));
        if let Some(refresh) = renewed.refresh_token {
            self.refresh = refresh;
        }
    }

    /// The access token is no good, whatever the clock says.
    pub fn spoil(&mut self) {
        self.access.clear();
    }

    /// The login is over; nothing is asked with it again.
    pub fn end(&mut self) {
        self.access.clear();
        self.refresh.clear();
    }

    /// Nothing is asked for so many seconds.
    pub const fn keep_quiet(&mut self, now: u64, seconds: u64) {
        self.quiet_until = now.saturating_add(seconds);
    }

    /// How many seconds nothing is to be asked yet; `None` when it may be.
    #[must_use]
    pub fn quiet(&self, now: u64) -> Option<u64> {
        // a clock that was set back must not keep it quiet for years
        Some(self.quiet_until.saturating_sub(now)).filter(|left| (1..=MAX_QUIET_S).contains(left))
    }

    /// Reads what was kept; `None` where there is nothing that could be used.
    #[must_use]
    pub fn load(dir: &Path) -> Option<Self> {
        let mut text = Vec::new();
        std::fs::File::open(dir.join(FILE)).ok()?.take(MAX_FILE).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Keeps it. What was kept before stays whole until this is.
    ///
    /// # Errors
    /// What the file system says.
    pub fn save(&self, dir: &Path) -> io::Result<()> {
        let next = dir.join(NEXT);
        let mut file = std::fs::File::create(&next)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        drop(file);
        std::fs::rename(next, dir.join(FILE))
    }

    /// Forgets what was kept, and what was on the way to it when a process was killed.
    ///
    /// # Errors
    /// What the file system says.
    pub fn forget(dir: &Path) -> io::Result<()> {
        let remove = |name| match std::fs::remove_file(dir.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        remove(FILE).and(remove(NEXT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(refresh: &str) -> LoginSettings {
        LoginSettings {
            client_id: "c".into(),
            refresh_token: refresh.into(),
            access_token: "a1".into(),
            expires_at: 5_000,
        }
    }

    fn renewed(refresh: Option<&str>) -> Renewed {
        Renewed { access_token: "a2".into(), expires_in: 3600, refresh_token: refresh.map(Into::into) }
    }

    #[test]
    fn a_new_login_takes_the_place_of_the_one_that_was_kept() {
        let mut session = Session::of(&login("r1"), None).unwrap();
        session.renew(renewed(Some("r2")), 10_000);
        let kept = Session::of(&login("r1"), Some(session.clone())).unwrap();
        assert_eq!((kept.refresh(), kept.access(10_000)), (Some("r2"), Some("a2")));
        let again = Session::of(&login("r9"), Some(session.clone())).unwrap();
        assert_eq!((again.refresh(), again.access(0)), (Some("r9"), Some("a1")));
        assert!(Session::of(&login(""), Some(session)).is_none());
    }

    #[test]
    fn an_access_token_is_used_until_shortly_before_its_end() {
        let mut session = Session::of(&login("r1"), None).unwrap();
        assert_eq!((session.access(4_939), session.access(4_940)), (Some("a1"), None));
        session.renew(renewed(None), u64::MAX);
        assert_eq!(session.refresh(), Some("r1"), "it was not taken, so it holds on");
        session.spoil();
        assert_eq!((session.access(0), session.refresh()), (None, Some("r1")));
        session.end();
        assert_eq!((session.access(0), session.refresh()), (None, None));
        let over = Session::of(&login("r1"), Some(session)).unwrap();
        assert_eq!(over.refresh(), None, "a login that is over stays so until there is another");
    }

    #[test]
    fn a_limit_ends_when_it_was_said_and_a_wrong_clock_does_not_lengthen_it() {
        let mut session = Session::of(&login("r1"), None).unwrap();
        assert_eq!(session.quiet(0), None);
        session.keep_quiet(1_000, 30);
        assert_eq!((session.quiet(1_000), session.quiet(1_029), session.quiet(1_030)), (Some(30), Some(1), None));
        session.keep_quiet(1_000_000_000, MAX_QUIET_S);
        assert_eq!(session.quiet(1_000), None);
    }

    #[test]
    fn what_is_kept_is_read_again_and_what_is_damaged_is_not() {
        let dir = std::env::temp_dir().join(format!("midimon-spotify-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let mut session = Session::of(&login("r1"), None).unwrap();
        session.renew(renewed(Some("r2")), 1);
        session.save(&dir).unwrap();
        assert!(Session::load(&dir) == Some(session));
        std::fs::write(dir.join(FILE), "{\"origin\":").unwrap();
        assert!(Session::load(&dir).is_none());
        std::fs::write(dir.join(NEXT), "half of a token").unwrap();
        Session::forget(&dir).unwrap();
        Session::forget(&dir).unwrap();
        assert!(Session::load(&dir).is_none());
        assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
