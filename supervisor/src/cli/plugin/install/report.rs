//! What an installation would do or did, for people and programs.

use crate::cli::plugin::daemon::tell;
use crate::cli::safe_text::safe_text;
use crate::cli::{CliError, Context};
use crate::control::model::PluginsReport;
use crate::plugins::install::plan::{Change, Item, Known, Login, Plan, Signer, State, Wanted};
use crate::plugins::install::words::{self, Risk};
use crate::plugins::minisign::PublicKey;
use midimon_shared::PluginId;
use midimon_shared::capability::{Capability, CapabilityKind};
use semver::Version;
use serde::Serialize;

/// What the user was not asked before.
const NEW: &str = "new";

/// A [`Plan`] as JSON.
#[derive(Debug, Serialize)]
pub struct PlanView<'p> {
    plugin: &'p PluginId,
    name: &'p str,
    version: String,
    kind: crate::workers::status::PluginKind,
    description: &'p str,
    authors: &'p [String],
    change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    signer: SignerView<'p>,
    asks_for: Vec<ItemView<'p>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<LoginView<'p>>,
    no_longer_asks_for: &'p [Capability],
    /// It gets data and settings that were given to another unsigned package.
    takes_over_data: bool,
    needs_consent: bool,
}

#[derive(Debug, Serialize)]
#[serde(tag = "standing", rename_all = "kebab-case")]
enum SignerView<'p> {
    Unsigned,
    New { key: &'p PublicKey, fingerprint: String },
    Trusted { key: &'p PublicKey, fingerprint: String, name: &'p str, since: &'p str },
}

#[derive(Debug, Serialize)]
struct LoginView<'p> {
    at: &'p str,
    tokens_from: &'p str,
    scopes: &'p std::collections::BTreeSet<String>,
    means: String,
    its_reason: &'p str,
    state: &'static str,
}

impl<'p> From<&'p Login> for LoginView<'p> {
    fn from(login: &'p Login) -> Self {
        Self {
            at: &login.target.authorize_host,
            tokens_from: &login.target.token_host,
            scopes: &login.target.scopes,
            means: words::login(&login.target),
            its_reason: &login.reason,
            state: if login.is_new { NEW } else { "known" },
        }
    }
}

#[derive(Debug, Serialize)]
struct ItemView<'p> {
    capability: CapabilityKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'p str>,
    /// The plugin's question, where the user chooses the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    question: Option<&'p str>,
    means: String,
    its_reason: &'p str,
    risk: Risk,
    state: &'static str,
}

impl<'p> From<&'p Plan> for PlanView<'p> {
    fn from(plan: &'p Plan) -> Self {
        let (change, from) = match &plan.change {
            Change::Install => ("install", None),
            Change::Update { from } => ("update", Some(from)),
            Change::Downgrade { from } => ("downgrade", Some(from)),
            Change::Again => ("again", None),
        };
        Self {
            plugin: &plan.id,
            name: &plan.name,
            version: plan.version.to_string(),
            kind: plan.kind,
            description: &plan.description,
            authors: &plan.authors,
            change,
            from: from.map(Version::to_string),
            signer: SignerView::from(&plan.signer),
            asks_for: plan.items.iter().map(ItemView::from).collect(),
            login: plan.login.as_ref().map(LoginView::from),
            no_longer_asks_for: &plan.dropped,
            takes_over_data: plan.takes_over,
            needs_consent: !plan.needs_no_consent(),
        }
    }
}

impl<'p> From<&'p Signer> for SignerView<'p> {
    fn from(signer: &'p Signer) -> Self {
        let Signer::Key(key, known) = signer else { return Self::Unsigned };
        let fingerprint = key.fingerprint().to_string();
        match known {
            Known::New => Self::New { key, fingerprint },
            Known::Trusted { name, since } => Self::Trusted { key, fingerprint, name, since },
        }
    }
}

impl<'p> From<&'p Item> for ItemView<'p> {
    fn from(item: &'p Item) -> Self {
        let (state, allowed) = match &item.state {
            State::New => (NEW, None),
            State::Allowed(capability) => ("allowed", Some(capability)),
            State::Denied => ("denied", None),
        };
        let (question, capability) = match &item.wanted {
            Wanted::Fixed(capability) => (None, Some(capability)),
            Wanted::Typed { prompt, .. } => (Some(prompt.as_str()), allowed),
        };
        let kind = item.wanted.kind();
        Self {
            capability: kind,
            target: capability.and_then(|capability| capability.target.as_deref()),
            question,
            means: capability.map_or_else(|| words::sentence_for_ask(kind).to_owned(), words::sentence),
            its_reason: &item.reason,
            risk: item.risk,
            state,
        }
    }
}

/// What was done.
#[derive(Debug, Serialize)]
pub struct Report<'p> {
    #[serde(flatten)]
    plan: PlanView<'p>,
    granted: Vec<String>,
    /// Whether it was tried before it was installed.
    tried: bool,
    /// Settings it needs before it can start.
    needs_settings: Vec<String>,
    /// Whether a daemon runs, and has taken notice.
    daemon: bool,
    /// Why it does not run, where it does not.
    problems: Vec<String>,
    #[serde(skip)]
    said: String,
}

impl<'p> Report<'p> {
    /// Tells a running daemon, and gathers what there is to say.
    ///
    /// # Errors
    /// The daemon cannot be told; the plugin is installed all the same.
    pub fn new(
        context: &Context,
        plan: &'p Plan,
        granted: Vec<String>,
        untried: Vec<String>,
    ) -> Result<Self, CliError> {
        let told = tell(context).map_err(|error| {
            let what = format!("{} {} is installed, but the daemon could not be told", plan.id, plan.version);
            CliError::Failed(format!("{what}: {}", error.sentence()))
        })?;
        let about = format!("plugin {}:", plan.id);
        let problems =
            |report: PluginsReport| report.problems.into_iter().filter(|problem| problem.starts_with(&about));
        let daemon = told.is_some();
        let problems: Vec<String> = told.into_iter().flat_map(problems).collect();
        let verb = match &plan.change {
            Change::Install | Change::Again => "Installed".to_owned(),
            Change::Update { from } => format!("Updated from {from}:"),
            Change::Downgrade { from } => format!("Gone back from {from}:"),
        };
        let said = format!("{verb} {} {}", plan.id, plan.version);
        let tried = untried.is_empty();
        Ok(Self { plan: PlanView::from(plan), granted, tried, needs_settings: untried, daemon, problems, said })
    }

    /// Prints it.
    ///
    /// # Errors
    /// Nobody reads it.
    pub fn print(&self, context: &Context, json: bool) -> Result<(), CliError> {
        if json {
            return context.out.json(self);
        }
        let granted = if self.granted.is_empty() { "nothing".to_owned() } else { self.granted.join(", ") };
        context.out.line(&format!("{}; it may use: {}", self.said, safe_text(&granted)))?;
        if let Some(first) = self.needs_settings.first() {
            context.out.line(&format!(
                "it was not tried, as it cannot start without: {}; set them with `midimon plugin config set {} {first}`",
                self.needs_settings.join(", "),
                self.plan.plugin,
            ))?;
        }
        for problem in &self.problems {
            context.out.line(&safe_text(problem))?;
        }
        if self.plan.login.as_ref().is_some_and(|login| login.state == NEW) {
            context.out.line(&format!("log in to its service with `midimon plugin login {}`", self.plan.plugin))?;
        }
        if self.daemon { Ok(()) } else { context.out.line("start it with `midimon start`") }
    }
}
