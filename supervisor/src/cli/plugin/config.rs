//! `plugin config`: the settings of an installed plugin, or of one under development.

use super::daemon::{failed, lock, tell_and_print};
use crate::cli::hidden_line::{HiddenLineError, hidden_line};
use crate::cli::{CliError, Context};
use crate::mapping::config::load_file;
use crate::plugins::Manifest;
use crate::plugins::discover::scan;
use crate::plugins::manifest::{LoginSpec, SettingSpec};
use crate::plugins::settings::{Owner, Settings};
use crate::plugins::store::{Installed, Store};
use clap::{Args, Subcommand};
use midimon_shared::PluginId;
use serde_json::{Map, Value};
use std::io::{self, IsTerminal, Read};
use zeroize::Zeroizing;

/// What stands in place of a secret.
const HIDDEN: &str = "(secret, set)";

#[derive(Debug, Args)]
#[command(after_help = "\
A plugin that runs is restarted with its new settings. A secret is never shown again; it is
typed where nobody sees it, or comes from standard input, never from the command line.

Examples:
  midimon plugin config get obs
  midimon plugin config set obs port 4455
  midimon plugin config set obs password             asks for it
  midimon plugin config set obs password < file      its first line")]
pub(super) struct Config {
    #[command(subcommand)]
    command: Command,
}

/// Whose settings. Where a plugin of `[plugins] dir` has the id of an installed one, that one
/// runs, and its settings are meant.
#[derive(Debug, Args)]
pub(super) struct Plugin {
    /// The plugin's id
    pub(super) name: PluginId,
    /// The installed one, where one in [plugins] dir has the same id
    #[arg(long)]
    installed: bool,
}

/// What a plugin has settings for, and what they are.
pub(super) struct Of {
    pub(super) specs: Vec<SettingSpec>,
    pub(super) settings: Settings,
    pub(super) login: Option<LoginSpec>,
    /// Of an installed one.
    pub(super) record: Option<Installed>,
    /// Which of two plugins that is, after its name; empty where there is one.
    pub(super) which: &'static str,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the settings of a plugin, or one of them
    Get {
        #[command(flatten)]
        plugin: Plugin,
        /// Which setting
        setting: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Set a value
    Set {
        #[command(flatten)]
        plugin: Plugin,
        /// Which setting
        setting: String,
        /// The value; without it, it is asked for or read from standard input
        #[arg(allow_hyphen_values = true)]
        value: Option<String>,
    },
    /// Forget a value
    Unset {
        #[command(flatten)]
        plugin: Plugin,
        /// Which setting
        setting: String,
    },
}

impl Config {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        match self.command {
            Command::Get { plugin, setting, json } => get(context, &plugin, setting.as_deref(), json),
            Command::Set { plugin, setting, value } => set(context, &plugin, &setting, value),
            Command::Unset { plugin, setting } => {
                let locked = lock(context)?;
                let Of { specs, mut settings, which, .. } = plugin.of(context)?;
                let was_set = settings.unset(&specs, &setting).map_err(failed)?;
                settings.save().map_err(failed)?;
                drop(locked);
                let done = if was_set { "is forgotten" } else { "was not set" };
                tell_and_print(context, &plugin.name, &format!("{setting} of {}{which} {done}", plugin.name))
            }
        }
    }
}

impl Plugin {
    pub(super) fn of(&self, context: &Context) -> Result<Of, CliError> {
        let (id, store) = (&self.name, Store::open(&context.home));
        let dev = if self.installed { None } else { in_development(context, id) };
        let record = store.get(id);
        let (owner, manifest, record, which) = match (dev, record) {
            (Some(dev), Ok(None)) => (Owner::Dev, dev, None, ""),
            (Some(dev), _) => (Owner::Dev, dev, None, " in [plugins] dir"),
            (None, Ok(Some(record))) => {
                let manifest = store.current_files(&record).and_then(|files| files.manifest()).map_err(failed)?;
                (Owner::Installed, manifest, Some(record), "")
            }
            (None, Ok(None)) => return Err(failed(format!("no plugin '{id}' is installed or in [plugins] dir"))),
            (None, Err(error)) => return Err(failed(error)),
        };
        let settings = Settings::load(&context.home.settings_dir(), owner, id).map_err(failed)?;
        Ok(Of { specs: manifest.settings, settings, login: manifest.login, record, which })
    }
}

/// The plugin of the configuration's `[plugins] dir` that has this id.
pub(super) fn in_development(context: &Context, id: &PluginId) -> Option<Manifest> {
    let directory = load_file(&context.home.config_file()).ok()?.plugins_dir?;
    let found = scan(&directory).ok()?.plugins.into_iter().find(|found| found.manifest.id == *id);
    found.map(|found| found.manifest)
}

fn get(context: &Context, plugin: &Plugin, setting: Option<&str>, json: bool) -> Result<(), CliError> {
    let id = &plugin.name;
    let Of { specs, settings, .. } = plugin.of(context)?;
    if let Some(name) = setting
        && !specs.iter().any(|spec| spec.name == name)
    {
        let known: Vec<&str> = specs.iter().map(|spec| spec.name.as_str()).collect();
        return Err(CliError::Failed(format!("'{id}' has no setting '{name}'; it has: {}", known.join(", "))));
    }
    let shown = |spec: &SettingSpec| match (settings.get(&spec.name), &spec.default) {
        (Some(_), _) if settings.is_secret(spec) => Value::from(HIDDEN),
        (Some(value), _) | (None, Some(value)) => value.clone(),
        (None, None) => Value::Null,
    };
    let wanted = specs.iter().filter(|spec| setting.is_none_or(|name| name == spec.name));
    let values: Map<String, Value> = wanted.map(|spec| (spec.name.clone(), shown(spec))).collect();
    if json {
        return context.out.json(&values);
    }
    for (name, value) in &values {
        let text = match value {
            Value::Null => "(not set)".to_owned(),
            Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        let text = crate::cli::safe_text::safe_text(&text).into_owned();
        context.out.line(&if setting.is_some() { text } else { format!("{name} = {text}") })?;
    }
    Ok(())
}

fn set(context: &Context, plugin: &Plugin, name: &str, value: Option<String>) -> Result<(), CliError> {
    let id = &plugin.name;
    let Of { specs, login, record, .. } = plugin.of(context)?;
    if login.is_some_and(|login| login.own_settings().any(|own| own == name)) {
        return Err(failed(format!(
            "'{name}' comes from logging in, and from nowhere else: `midimon plugin login {id}`"
        )));
    }
    let is_secret = specs.iter().any(|spec| spec.name == name && spec.secret);
    let value = match value {
        Some(_) if is_secret => {
            return Err(CliError::Failed(format!(
                "'{name}' is secret, and every program can read a command line: leave the value away to be asked \
                 for it, or give it on standard input"
            )));
        }
        Some(value) => Zeroizing::new(value),
        None if io::stdin().is_terminal() => typed(id, name)?,
        None => first_line()?,
    };
    // nobody waits for what is typed above, so all of it is read again; the lock keeps another
    // plugin from getting this id, and the value, meanwhile
    let locked = lock(context)?;
    let Of { specs: now, mut settings, record: installed, which, .. } = plugin.of(context)?;
    if (&now, &installed) != (&specs, &record) {
        return Err(failed(format!("{id} changed while you were asked; nothing was set, run it again")));
    }
    settings.set(&now, name, &value).map_err(failed)?;
    settings.save().map_err(failed)?;
    drop(locked);
    tell_and_print(context, id, &format!("{name} of {id}{which} is set"))
}

/// A value typed on the terminal where nobody sees it.
fn typed(id: &PluginId, name: &str) -> Result<Zeroizing<String>, CliError> {
    hidden_line(&format!("{name} of {id} (not shown): ")).map_err(|error| {
        CliError::Failed(match error {
            HiddenLineError::NoTerminal(_) | HiddenLineError::TooLong => {
                format!("{error}; give the value on standard input: midimon plugin config set {id} {name} < FILE")
            }
            error => format!("{name} of {id} was not set: {error}"),
        })
    })
}

/// The first line of standard input, without its end.
fn first_line() -> Result<Zeroizing<String>, CliError> {
    let mut bytes = Zeroizing::new(Vec::new());
    // more than a value may be; that is told by whoever checks it
    let read = io::stdin().lock().take(64 * 1024).read_to_end(&mut bytes);
    read.map_err(|error| CliError::Failed(format!("standard input cannot be read: {error}")))?;
    let line = bytes.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).map_err(|_| CliError::Failed("the value is not UTF-8 text".to_owned()))?;
    Ok(Zeroizing::new(text.to_owned()))
}
