//! `plugin login`: the user logs in to a plugin's service in the browser, and the tokens
//! become settings that nothing else writes.

mod browser;
mod state;

use super::config::{Of, Plugin};
use super::daemon::{failed, lock, tell, tell_and_print};
use crate::cli::safe_text::{quoted, safe_text};
use crate::cli::{CliError, Context};
use crate::plugins::login::flow::{RANDOM, redirect_uri};
use crate::plugins::login::listener::Notice;
use crate::plugins::login::{Flow, Listener, TokenError, Tokens, post, tokens};
use crate::plugins::manifest::{ClientId, LoginSpec, is_client_id};
use clap::Args;
use midimon_shared::PluginId;
use serde::Serialize;
use state::State;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// How long a service may take over the tokens.
const EXCHANGE: Duration = Duration::from_secs(30);

/// `midimon plugin login`
#[derive(Debug, Args)]
#[command(after_help = "\
The service's page opens in your browser; what it answers comes to 127.0.0.1, and the tokens go into
the plugin's settings, where only you and the plugin can read them. Where the browser is on another
machine, paste the address it ends at.

Examples:
  midimon plugin login spotify
  midimon plugin login spotify --no-browser    print the address, open nothing
  midimon plugin login spotify --status
  midimon plugin login spotify --logout")]
pub(super) struct Login {
    #[command(flatten)]
    plugin: Plugin,
    /// Open no browser; print the address only
    #[arg(long)]
    no_browser: bool,
    /// Say whether you are logged in, and how to be
    #[arg(long, conflicts_with_all = ["logout", "no_browser"])]
    status: bool,
    /// Forget the tokens
    #[arg(long, conflicts_with = "no_browser")]
    logout: bool,
    /// Take the answer at this port of 127.0.0.1
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1024..))]
    port: Option<u16>,
    /// Wait so many seconds for the browser
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// Print JSON; the address to open goes to standard error
    #[arg(long)]
    json: bool,
}

/// What a login came to.
#[derive(Debug, Serialize)]
struct LoggedIn<'a> {
    plugin: &'a PluginId,
    logged_in: bool,
    at: String,
    expires_at: Option<u64>,
    scopes: Vec<String>,
}

impl Login {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let of = self.plugin.of(context)?;
        let spec = spec(&of, &self.plugin.name)?;
        if self.status {
            return State::of(&self.plugin.name, &of, &spec, self.port).print(context, self.json);
        }
        if self.logout {
            return self.logout(context, &spec);
        }
        let client_id = client_id(&self.plugin.name, &of, &spec, self.port)?;
        let tokens = self.log_in(context, &spec, &client_id)?;
        self.keep(context, &of, &tokens)?;
        self.report(context, &spec, tokens)
    }

    /// Everything between the address and the tokens.
    fn log_in(&self, context: &Context, spec: &LoginSpec, client_id: &str) -> Result<Tokens, CliError> {
        let listener = Listener::bind(self.port.or(spec.redirect_port)).map_err(failed)?;
        let mut random = Zeroizing::new([0; RANDOM]);
        getrandom::fill(&mut *random).map_err(|error| failed(format!("there is no randomness: {error}")))?;
        let flow = Flow::new(client_id, listener.port(), &random);
        let address = flow.authorize_url(spec);
        let host = spec.authorize_url.authority();
        let scopes = match spec.scopes.as_slice() {
            [] => String::new(),
            scopes => format!(" for {}", quoted(&scopes.join(" "))),
        };
        self.say(context, &format!("{} asks {} to let it act as you{scopes}.", self.plugin.name, quoted(&host)))?;
        let opened = !self.no_browser && browser::open(&flow.start());
        let how = if opened { "Your browser opens. If it does not, open this" } else { "Open this in a browser" };
        self.say(context, &format!("{how}:\n\n  {address}\n"))?;
        self.say(
            context,
            &format!("The answer comes to {}; or paste here the address the browser ends at.", flow.redirect()),
        )?;
        let stdin = io::stdin();
        let noticed = |notice| {
            eprintln!(
                "{}",
                match notice {
                    Notice::NotThisLogin => "an answer came that is not of this login; it was not used",
                    Notice::OtherUser => {
                        "another user's program came to the port and was not listened to; if it was your browser, paste \
                         here the address it ends at"
                    }
                    Notice::UnknownUser => {
                        "it cannot be seen whose program came to the port, so it was not listened to; if it was your \
                         browser, paste here the address it ends at"
                    }
                    Notice::NoAddress => "that is not the address this login ends at; paste all of it",
                }
            );
        };
        let limit = Duration::from_secs(self.timeout);
        // where no browser was asked to begin here, nobody is sent on
        let sent_on = opened.then_some(&*address);
        let code = listener.wait(&flow, sent_on, Some(stdin.as_fd()), limit, noticed).map_err(failed)?;
        let response = post(&spec.token_url, &flow.token_form(&code), EXCHANGE).map_err(failed)?;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
        tokens::read(response.status, &response.body, now).map_err(|error| refused(&self.plugin.name, spec, &error))
    }

    /// Writes the tokens, where the plugin is still the one that was shown.
    fn keep(&self, context: &Context, was: &Of, tokens: &Tokens) -> Result<(), CliError> {
        let locked = lock(context)?;
        let Of { specs, mut settings, login, record, .. } = self.plugin.of(context)?;
        let spec = login.filter(|login| Some(login) == was.login.as_ref() && record == was.record);
        let spec = spec.ok_or_else(|| {
            failed(format!("{} changed while you logged in; nothing was kept, run it again", self.plugin.name))
        })?;
        settings.set(&specs, &spec.refresh_token, &tokens.refresh).map_err(failed)?;
        if let Some(name) = &spec.access_token {
            settings.set(&specs, name, &tokens.access).map_err(failed)?;
        }
        if let Some(name) = &spec.expires_at {
            match tokens.expires_at {
                Some(at) => settings.set(&specs, name, &at.to_string()).map_err(failed)?,
                None => drop(settings.unset(&specs, name).map_err(failed)?),
            }
        }
        settings.save().map_err(failed)?;
        drop(locked);
        Ok(())
    }

    fn report(&self, context: &Context, spec: &LoginSpec, tokens: Tokens) -> Result<(), CliError> {
        let id = &self.plugin.name;
        let host = spec.authorize_url.authority();
        let scopes = tokens.scopes.unwrap_or_else(|| spec.scopes.clone());
        let missing: Vec<&str> =
            spec.scopes.iter().filter(|scope| !scopes.contains(scope)).map(String::as_str).collect();
        if !missing.is_empty() {
            eprintln!("warning: {host} did not allow {}; what needs it will fail", safe_text(&missing.join(", ")));
        }
        if !self.json {
            return tell_and_print(context, id, &format!("{id} is logged in to {host}"));
        }
        tell(context)?;
        context.out.json(&LoggedIn { plugin: id, logged_in: true, at: host, expires_at: tokens.expires_at, scopes })
    }

    fn logout(&self, context: &Context, spec: &LoginSpec) -> Result<(), CliError> {
        let id = &self.plugin.name;
        let locked = lock(context)?;
        let Of { specs, mut settings, .. } = self.plugin.of(context)?;
        let mut was_set = false;
        for name in spec.own_settings() {
            was_set |= settings.unset(&specs, name).map_err(failed)?;
        }
        settings.save().map_err(failed)?;
        drop(locked);
        let host = spec.authorize_url.authority();
        if self.json {
            tell(context)?;
            let scopes = Vec::new();
            return context.out.json(&LoggedIn { plugin: id, logged_in: false, at: host, expires_at: None, scopes });
        }
        let done = match was_set {
            true => format!(
                "the tokens of {id} are forgotten here; to end its access at {host} too, remove the application there"
            ),
            false => format!("{id} was not logged in"),
        };
        tell_and_print(context, id, &done)
    }

    /// For the person; standard output is for JSON where that is wanted.
    fn say(&self, context: &Context, text: &str) -> Result<(), CliError> {
        if self.json {
            eprintln!("{text}");
            return Ok(());
        }
        context.out.line(text)
    }
}

fn spec(of: &Of, id: &PluginId) -> Result<LoginSpec, CliError> {
    let spec =
        of.login.clone().ok_or_else(|| failed(format!("there is nothing to log in to: '{id}' has no [login]")))?;
    if of.record.is_some() && !spec.is_secure() {
        return Err(failed(format!("'{id}' would log in without TLS, which only a plugin in [plugins] dir may")));
    }
    Ok(spec)
}

/// The client id, from the manifest or the user's setting.
fn client_id(id: &PluginId, of: &Of, spec: &LoginSpec, port: Option<u16>) -> Result<String, CliError> {
    let name = match &spec.client {
        ClientId::Fixed(client) => return Ok(client.clone()),
        ClientId::Setting(name) => name,
    };
    let default = of.specs.iter().find(|spec| spec.name == *name).and_then(|spec| spec.default.as_ref());
    let set = of.settings.get(name).or(default).and_then(|value| value.as_str()).map(str::trim);
    match set.filter(|client| !client.is_empty()) {
        Some(client) if is_client_id(client) => Ok(client.to_owned()),
        Some(_) => Err(failed(format!(
            "the setting {name} is no client id; copy it from {}: `midimon plugin config set {id} {name} CLIENT_ID`",
            spec.authorize_url.authority()
        ))),
        None => Err(failed(format!(
            "{id} needs the client id of an application of yours at {}. Make one there, with the redirect address\n  \
             {}\nand then\n  midimon plugin config set {id} {name} CLIENT_ID",
            spec.authorize_url.authority(),
            registered(spec, port)
        ))),
    }
}

/// The redirect address to register. A service that takes loopback takes any port (RFC 8252, 7.3).
fn registered(spec: &LoginSpec, port: Option<u16>) -> String {
    match port.or(spec.redirect_port) {
        Some(port) => redirect_uri(port),
        None => redirect_uri(0).replace(":0/", "/"),
    }
}

fn refused(id: &PluginId, spec: &LoginSpec, error: &TokenError) -> CliError {
    let host = spec.token_url.authority();
    let author = "tell the plugin's author";
    let fix = match (error, &spec.client) {
        (TokenError::Refused { error, .. }, ClientId::Setting(name))
            if matches!(error.as_str(), "invalid_client" | "unauthorized_client") =>
        {
            format!("; check the client id: `midimon plugin config set {id} {name} CLIENT_ID`")
        }
        (TokenError::Refused { error, .. }, _) if error == "invalid_grant" => {
            format!("; a code holds once and for some minutes only: run `midimon plugin login {id}` again")
        }
        (TokenError::Status(429 | 500..), _) => format!("; try again later: `midimon plugin login {id}`"),
        (TokenError::NoRefresh, _) => {
            format!("; its `scopes` must ask for the one that {host} gives it for, often offline_access: {author}")
        }
        (TokenError::Status(_) | TokenError::Odd(_), _) => format!("; is its `token_url` right? {author}"),
        (TokenError::Refused { .. }, _) => {
            format!("; run `midimon plugin login {id}` again, and {author} if it stays so")
        }
    };
    failed(format!("{host} gave no token: {error}{fix}"))
}
