//! `plugin config`: the settings of an installed plugin, or of one under development.

use super::daemon::{failed, tell_and_print};
use crate::cli::{CliError, Context};
use crate::mapping::config::load_file;
use crate::plugins::discover::scan;
use crate::plugins::manifest::SettingSpec;
use crate::plugins::settings::{Owner, Settings};
use crate::plugins::store::Store;
use clap::{Args, Subcommand};
use midimon_shared::PluginId;
use serde_json::{Map, Value};
use std::io::{self, IsTerminal, Read};

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

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the settings of a plugin, or one of them
    Get {
        /// The plugin's id
        name: PluginId,
        /// Which setting
        setting: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Set a value
    Set {
        /// The plugin's id
        name: PluginId,
        /// Which setting
        setting: String,
        /// The value; without it, it is asked for or read from standard input
        #[arg(allow_hyphen_values = true)]
        value: Option<String>,
    },
    /// Forget a value
    Unset {
        /// The plugin's id
        name: PluginId,
        /// Which setting
        setting: String,
    },
}

impl Config {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        match self.command {
            Command::Get { name, setting, json } => get(context, &name, setting.as_deref(), json),
            Command::Set { name, setting, value } => set(context, &name, &setting, value),
            Command::Unset { name, setting } => {
                let (specs, mut settings) = of(context, &name)?;
                let was_set = settings.unset(&specs, &setting).map_err(failed)?;
                settings.save().map_err(failed)?;
                let done = if was_set { "is forgotten" } else { "was not set" };
                tell_and_print(context, &name, &format!("{setting} of {name} {done}"))
            }
        }
    }
}

/// What a plugin has settings for, and what they are.
fn of(context: &Context, id: &PluginId) -> Result<(Vec<SettingSpec>, Settings), CliError> {
    let store = Store::open(&context.home);
    let (owner, specs) = match store.get(id).map_err(failed)? {
        Some(record) => {
            let manifest = store.current_files(&record).and_then(|files| files.manifest()).map_err(failed)?;
            (Owner::Installed, manifest.settings)
        }
        None => (Owner::Dev, in_development(context, id)?),
    };
    let settings = Settings::load(&context.home.settings_dir(), owner, id).map_err(failed)?;
    Ok((specs, settings))
}

/// The settings of a plugin of the configuration's `[plugins] dir`.
fn in_development(context: &Context, id: &PluginId) -> Result<Vec<SettingSpec>, CliError> {
    let unknown = || CliError::Failed(format!("no plugin '{id}' is installed or in [plugins] dir"));
    let directory = load_file(&context.home.config_file()).ok().and_then(|loaded| loaded.plugins_dir);
    let found = scan(&directory.ok_or_else(unknown)?).map_err(failed)?;
    let found = found.plugins.into_iter().find(|found| found.manifest.id == *id);
    Ok(found.ok_or_else(unknown)?.manifest.settings)
}

fn get(context: &Context, id: &PluginId, setting: Option<&str>, json: bool) -> Result<(), CliError> {
    let (specs, settings) = of(context, id)?;
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

fn set(context: &Context, id: &PluginId, name: &str, value: Option<String>) -> Result<(), CliError> {
    let (specs, mut settings) = of(context, id)?;
    let is_secret = specs.iter().any(|spec| spec.name == name && spec.secret);
    let value = match value {
        Some(_) if is_secret => {
            return Err(CliError::Failed(format!(
                "'{name}' is secret, and every program can read a command line: leave the value away to be asked \
                 for it, or give it on standard input"
            )));
        }
        Some(value) => value,
        None if io::stdin().is_terminal() => {
            rpassword::prompt_password(format!("{name} of {id} (not shown): ")).map_err(CliError::Output)?
        }
        None => first_line()?,
    };
    settings.set(&specs, name, &value).map_err(failed)?;
    settings.save().map_err(failed)?;
    tell_and_print(context, id, &format!("{name} of {id} is set"))
}

/// The first line of standard input, without its end.
fn first_line() -> Result<String, CliError> {
    let mut bytes = Vec::new();
    // more than a value may be; that is told by whoever checks it
    io::stdin().lock().take(64 * 1024).read_to_end(&mut bytes).map_err(CliError::Output)?;
    let text = String::from_utf8(bytes).map_err(|_| CliError::Failed("the value is not UTF-8 text".to_owned()))?;
    let line = text.split('\n').next().unwrap_or_default();
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}
