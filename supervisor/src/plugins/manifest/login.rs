//! The service a plugin lets its user log in to.
//!
//! ```toml
//! [login]
//! kind = "oauth2-pkce"                    # the one there is
//! authorize_url = "https://accounts.example.org/authorize"
//! token_url = "https://accounts.example.org/api/token"
//! scopes = ["read", "control"]
//! client_id_setting = "client_id"         # or client_id = "…"
//! redirect_port = 4711                    # where the service wants one port; else any
//! refresh_token_setting = "refresh_token" # only `midimon plugin login` writes these
//! access_token_setting = "access_token"
//! expires_at_setting = "expires_at"       # seconds since the Unix epoch
//! reason = "controls what you play"
//! ```

use super::action::ParamType;
use super::settings::SettingSpec;
use super::walk::Field;
use crate::plugins::login::url::{WebUrl, pairs};

/// Most scopes.
const MAX_SCOPES: usize = 64;
/// Longest scope, in characters.
const MAX_SCOPE: usize = 100;
/// What midimon itself puts into the address (RFC 6749, 4.1.1; RFC 7636, 4.3).
const OWN_NAMES: [&str; 7] =
    ["response_type", "client_id", "redirect_uri", "state", "code_challenge_method", "code_challenge", "scope"];

/// Whose application the login is made as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientId {
    /// The user's own: the setting it is in.
    Setting(String),
    /// The author's. With PKCE it is no secret.
    Fixed(String),
}

/// A login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginSpec {
    /// What the browser opens.
    pub authorize_url: WebUrl,
    /// Where midimon gets the tokens.
    pub token_url: WebUrl,
    /// What the service is asked to allow.
    pub scopes: Vec<String>,
    /// As which application.
    pub client: ClientId,
    /// The one port the answer can come to; any that is free where there is none.
    pub redirect_port: Option<u16>,
    /// The setting that gets the refresh token: secret, a text.
    pub refresh_token: String,
    /// The setting that gets the first access token: secret, a text.
    pub access_token: Option<String>,
    /// The setting that gets the end of its life, in seconds since the Unix epoch: an integer.
    pub expires_at: Option<String>,
    /// Why, in the plugin's own words.
    pub reason: String,
}

impl LoginSpec {
    /// The settings that nothing but a login writes.
    pub fn own_settings(&self) -> impl Iterator<Item = &str> {
        let others = self.access_token.iter().chain(&self.expires_at);
        std::iter::once(&self.refresh_token).chain(others).map(String::as_str)
    }

    /// Whether all of it goes over TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        self.authorize_url.secure && self.token_url.secure
    }

    /// One for tests.
    #[cfg(test)]
    pub(in crate::plugins) fn testing() -> Self {
        Self {
            authorize_url: "https://accounts.example.org/authorize?show=1".parse().unwrap(),
            token_url: "https://accounts.example.org/token".parse().unwrap(),
            scopes: vec!["read".into(), "write:all".into()],
            client: ClientId::Fixed("abc".into()),
            redirect_port: None,
            refresh_token: "refresh".into(),
            access_token: None,
            expires_at: None,
            reason: "r".into(),
        }
    }
}

/// Reads `[login]`. A `packaged` plugin speaks TLS only: what is on this computer's loopback
/// is for whoever develops it.
pub(super) fn login(field: &Field<'_>, settings: &[SettingSpec], packaged: bool) -> Option<LoginSpec> {
    let mut table = field.table()?;
    let kind = table.require("kind").and_then(|field| field.choice(&[("oauth2-pkce", ())]));
    let authorize_url = table.require("authorize_url").and_then(|field| address(&field, packaged));
    let token_url = table.require("token_url").and_then(|field| address(&field, packaged));
    let scopes = table.take("scopes").map(|field| scopes(&field)).unwrap_or_default();
    let (fixed, setting) = (table.take("client_id"), table.take("client_id_setting"));
    let client = client(field, fixed.as_ref(), setting.as_ref(), settings);
    let redirect_port = table.take("redirect_port").and_then(|field| field.integer(1024..=65_535));
    let mut own: Vec<String> = Vec::new();
    let mut token = |field: &Field<'_>, ty, secret| {
        let name = own_setting(field, settings, ty, secret)?;
        if own.contains(&name) {
            field.report(format!("the setting `{name}` gets something else already"));
        }
        own.push(name.clone());
        Some(name)
    };
    let refresh_token = table.require("refresh_token_setting").and_then(|field| token(&field, ParamType::String, true));
    let access_token = table.take("access_token_setting").and_then(|field| token(&field, ParamType::String, true));
    let expires_at = table.take("expires_at_setting").and_then(|field| token(&field, ParamType::Integer, false));
    let reason = table.require("reason").and_then(|field| field.text(300));
    table.finish();
    if let Some(ClientId::Setting(name)) = client.as_ref().filter(|_| !own.is_empty())
        && own.contains(name)
    {
        field.report(format!("the setting `{name}` cannot be the client id and a token"));
    }
    kind?;
    Some(LoginSpec {
        authorize_url: authorize_url?,
        token_url: token_url?,
        scopes,
        client: client?,
        redirect_port: redirect_port.and_then(|port| u16::try_from(port).ok()),
        refresh_token: refresh_token?,
        access_token,
        expires_at,
        reason: reason?,
    })
}

fn address(field: &Field<'_>, packaged: bool) -> Option<WebUrl> {
    let url: WebUrl = field.parse()?;
    if packaged && !url.secure {
        field.report("a packaged plugin logs in over https; http is for one under development");
    }
    let taken = url.query.as_deref().map(pairs);
    match taken {
        None => return Some(url),
        Some(None) => field.report("a name stands twice in its query, or it is none"),
        Some(Some(pairs)) => match pairs.iter().find(|(name, _)| OWN_NAMES.contains(&name.as_str())) {
            Some((name, _)) => field.report(format!("midimon itself puts `{name}` into the address")),
            None => return Some(url),
        },
    }
    None
}

/// RFC 6749, 3.3.
fn scopes(field: &Field<'_>) -> Vec<String> {
    let mut scopes: Vec<String> = Vec::new();
    for field in field.items(MAX_SCOPES) {
        let Some(scope) = field.text(MAX_SCOPE) else { continue };
        if !scope.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\')) {
            field.report(
                "a scope is of printable ASCII without spaces, '\"' and '\\'; write each as an entry of its own",
            );
        } else if scopes.contains(&scope) {
            field.report(format!("the scope `{scope}` is there twice"));
        } else {
            scopes.push(scope);
        }
    }
    scopes
}

fn client(
    whole: &Field<'_>,
    fixed: Option<&Field<'_>>,
    setting: Option<&Field<'_>>,
    settings: &[SettingSpec],
) -> Option<ClientId> {
    match (fixed, setting) {
        (Some(_), Some(both)) => both.report("has either `client_id` or `client_id_setting`"),
        (None, None) => whole.report("needs `client_id_setting = \"…\"` or `client_id = \"…\"`"),
        (Some(fixed), None) => {
            let id = fixed.text(256)?;
            if is_client_id(&id) {
                return Some(ClientId::Fixed(id));
            }
            fixed.report("a client id is of printable ASCII without spaces");
        }
        (None, Some(setting)) => {
            let name = setting.text(64)?;
            match settings.iter().find(|spec| spec.name == name) {
                Some(spec) if spec.ty == ParamType::String && !spec.secret && !spec.required => {
                    return Some(ClientId::Setting(name));
                }
                Some(_) => {
                    setting.report(format!("the setting `{name}` must be of type string, no secret and not required"))
                }
                None => setting.report(format!("there is no setting `{name}`; add it to [[settings]]")),
            }
        }
    }
    None
}

/// Whether it can be a client id.
#[must_use]
pub fn is_client_id(text: &str) -> bool {
    (1..=256).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn own_setting(field: &Field<'_>, settings: &[SettingSpec], ty: ParamType, secret: bool) -> Option<String> {
    let name = field.text(64)?;
    let Some(spec) = settings.iter().find(|spec| spec.name == name) else {
        field.report(format!("there is no setting `{name}`; add it to [[settings]]"));
        return None;
    };
    if spec.ty != ty || (secret && !spec.secret) {
        let secret = if secret { " and secret" } else { "" };
        field.report(format!("the setting `{name}` must be of type {ty}{secret}"));
    } else if spec.required || spec.default.is_some() {
        // the plugin starts before anybody has logged in, and `config set` is not how it gets it
        field.report(format!("the setting `{name}` must be neither required nor have a default"));
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::Manifest;

    const LOGIN: &str = r#"
[login]
kind = "oauth2-pkce"
authorize_url = "https://accounts.example.org/authorize"
token_url = "https://accounts.example.org/api/token"
scopes = ["read", "control:all"]
client_id_setting = "client_id"
redirect_port = 4711
refresh_token_setting = "refresh_token"
access_token_setting = "access_token"
expires_at_setting = "expires_at"
reason = "controls what you play"
"#;
    const SETTINGS: &str = r#"
schema = 1
id = "ab"
name = "N"
version = "1.0.0"
kind = "wasm"
entry = "a.wasm"
settings = [
    { name = "client_id", type = "string" },
    { name = "refresh_token", type = "string", secret = true },
    { name = "access_token", type = "string", secret = true },
    { name = "expires_at", type = "integer" },
    { name = "needed", type = "string", secret = true, required = true },
]
"#;

    fn refused(from: &str, to: &str, why: &str) {
        let text = LOGIN.replace(from, to);
        assert_ne!(text, LOGIN, "{from}");
        let problems = Manifest::parse(&format!("{SETTINGS}{text}")).expect_err(to);
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert!(problems.iter().any(|problem| problem.contains(why)), "{why}: {problems:?}");
    }

    #[test]
    fn a_login_is_read_whole() {
        let login = Manifest::parse(&format!("{SETTINGS}{LOGIN}")).unwrap().login.unwrap();
        assert_eq!(login.authorize_url.authority(), "accounts.example.org");
        assert_eq!((login.scopes.len(), login.redirect_port), (2, Some(4711)));
        assert_eq!(login.client, ClientId::Setting("client_id".into()));
        assert_eq!(login.own_settings().collect::<Vec<_>>(), ["refresh_token", "access_token", "expires_at"]);
        assert_eq!(Manifest::parse(SETTINGS).unwrap().login, None);
        let short = LOGIN
            .lines()
            .filter(|line| !["redirect", "access", "expires", "scopes"].iter().any(|key| line.starts_with(key)));
        let short: Vec<&str> = short.collect();
        let short = short.join("\n").replace("client_id_setting = \"client_id\"", "client_id = \"abc\"");
        let login = Manifest::parse(&format!("{SETTINGS}{short}")).unwrap().login.unwrap();
        assert_eq!((login.client, login.scopes.len()), (ClientId::Fixed("abc".into()), 0));
    }

    #[test]
    fn every_mistake_in_it_is_named() {
        refused("oauth2-pkce", "password", "must be one of: oauth2-pkce");
        refused("kind = \"oauth2-pkce\"\n", "", "`kind` is missing");
        refused("https://accounts.example.org/authorize", "http://accounts.example.org/authorize", "use https");
        refused("https://accounts.example.org/authorize", "https://a.example/?a=1&a=2", "stands twice");
        refused("https://accounts.example.org/authorize", "https://a.example/?state=1", "midimon itself puts `state`");
        refused("https://accounts.example.org/api/token", "https://user@a.example/", "no user name");
        refused("\"read\"", "\"read all\"", "without spaces");
        refused("\"read\"", "\"control:all\"", "is there twice");
        refused("\"read\"", "7", "must be a text");
        refused("client_id_setting = \"client_id\"", "", "needs `client_id_setting");
        refused("client_id_setting", "client_id = \"x\"\nclient_id_setting", "either `client_id` or");
        refused("client_id_setting = \"client_id\"", "client_id = \"a b\"", "printable ASCII");
        refused("client_id_setting = \"client_id\"", "client_id_setting = \"access_token\"", "no secret");
        refused("client_id_setting = \"client_id\"", "client_id_setting = \"none\"", "there is no setting `none`");
        refused("4711", "80", "must be from 1024 to 65535");
        refused("\"refresh_token\"", "\"client_id\"", "must be of type string and secret");
        refused("\"refresh_token\"", "\"needed\"", "neither required nor");
        refused("\"access_token\"", "\"refresh_token\"", "gets something else already");
        refused("\"expires_at\"", "\"access_token\"", "must be of type integer");
        refused("reason = \"controls what you play\"\n", "", "`reason` is missing");
        refused("reason", "reasons", "unknown key `reasons`; did you mean `reason`?");
    }

    #[test]
    fn a_package_speaks_tls_only() {
        let local = LOGIN.replace("https://accounts.example.org", "http://127.0.0.1:8080");
        let text = format!("{SETTINGS}{local}");
        assert!(!Manifest::parse(&text).unwrap().login.unwrap().is_secure());
        let digest = "0".repeat(64);
        let files = format!("\n[[files]]\nname = \"a.wasm\"\nsha256 = \"{digest}\"\nsize = 1\n");
        let packaged = |login: &str| Manifest::parse(&format!("{SETTINGS}{login}{files}"));
        assert!(packaged(LOGIN).is_ok());
        let problems = packaged(&local).unwrap_err();
        assert_eq!(problems.iter().filter(|problem| problem.message.contains("logs in over https")).count(), 2);
    }
}
