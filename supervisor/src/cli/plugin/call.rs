//! `plugin call`: an action of a running plugin, without a pad.

use crate::cli::safe_text::safe_text;
use crate::cli::{CliError, Context};
use crate::control::protocol::{Params, Request};
use clap::Args;
use midimon_shared::PluginId;

/// `midimon plugin call`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  midimon plugin call notes chorus
  midimon plugin call echo play '{\"sound\": \"rim shot\"}'")]
pub struct Call {
    /// The plugin's id
    name: PluginId,
    /// The action, as mappings name it
    action: String,
    /// The action's parameters, a JSON object
    #[arg(default_value = "{}", value_parser = object)]
    params: Params,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn object(text: &str) -> Result<Params, String> {
    serde_json::from_str(text)
        .map_err(|error| format!("it must be a JSON object such as '{{\"text\": \"hello\"}}': {error}"))
}

impl Call {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let Self { name, action, params, json } = self;
        let request = Request::PluginCall { id: name, action, params };
        let answer: String = context.connect()?.call(&request)?;
        match json {
            true => context.out.json(&serde_json::json!({ "answer": answer })),
            false if answer.is_empty() => context.out.line("done"),
            false => context.out.line(&safe_text(&answer)),
        }
    }
}
