//! `plugin login --status`.

use super::registered;
use crate::cli::plugin::config::Of;
use crate::cli::{CliError, Context};
use crate::plugins::manifest::{ClientId, LoginSpec};
use midimon_shared::PluginId;
use serde::Serialize;

/// How things stand with a login. The plugin renews its access token by itself, so when the
/// first one ended says nothing.
#[derive(Debug, Serialize)]
pub(super) struct State {
    plugin: PluginId,
    at: String,
    logged_in: bool,
    scopes: Vec<String>,
    redirect_uri: String,
    /// The setting the client id is missing in.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<String>,
}

impl State {
    pub(super) fn of(plugin: &PluginId, of: &Of, spec: &LoginSpec, port: Option<u16>) -> Self {
        let has_default = |name: &str| of.specs.iter().any(|spec| spec.name == name && spec.default.is_some());
        let missing = match &spec.client {
            ClientId::Setting(name) if of.settings.get(name).is_none() && !has_default(name) => Some(name.clone()),
            ClientId::Setting(_) | ClientId::Fixed(_) => None,
        };
        Self {
            plugin: plugin.clone(),
            at: spec.authorize_url.authority(),
            logged_in: of.settings.get(&spec.refresh_token).is_some(),
            scopes: spec.scopes.clone(),
            redirect_uri: registered(spec, port),
            missing,
        }
    }

    pub(super) fn print(&self, context: &Context, json: bool) -> Result<(), CliError> {
        if json {
            return context.out.json(self);
        }
        let Self { plugin, at, .. } = self;
        let state = match (self.logged_in, &self.missing) {
            (true, _) => format!("{plugin} is logged in to {at}"),
            (false, None) => format!("{plugin} is not logged in to {at}: `midimon plugin login {plugin}`"),
            (false, Some(name)) => format!(
                "{plugin} is not logged in to {at}, and needs a client id first: \
                 `midimon plugin config set {plugin} {name} CLIENT_ID`"
            ),
        };
        context.out.line(&state)?;
        context.out.line(&format!("redirect address to register there: {}", self.redirect_uri))
    }
}
