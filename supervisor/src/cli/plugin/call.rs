//! `plugin call`: an action of a running plugin, without a pad.

use crate::cli::safe_text::safe_text;
use crate::cli::{CliError, Context};
use crate::control::protocol::{Params, Request};
use crate::mapping::config::params;
use clap::{Args, value_parser};
use midimon_shared::PluginId;

/// `midimon plugin call`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  midimon plugin call notes chorus
  midimon plugin call echo play --params 'sound = \"rim shot\"' --velocity 100
  midimon plugin call echo play '{\"sound\": \"rim shot\"}'")]
pub struct Call {
    /// The plugin's id
    name: PluginId,
    /// The action, as mappings name it
    action: String,
    /// The action's parameters, a JSON object
    #[arg(value_name = "JSON", value_parser = object)]
    json_params: Option<Params>,
    /// The action's parameters as a mapping has them, in TOML: 'a = 1' or '{ a = 1, b = 2 }'
    #[arg(long, value_name = "TOML", value_parser = params::from_toml, conflicts_with = "json_params")]
    params: Option<Params>,
    /// The velocity the plugin is told, 0 to 127
    #[arg(long, value_name = "N", value_parser = value_parser!(u8).range(..=127))]
    velocity: Option<u8>,
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
        let Self { name, action, json_params, params, velocity, json } = self;
        let params = json_params.or(params).unwrap_or_default();
        let request = Request::PluginCall { id: name, action, params, velocity };
        let answer: String = context.connect()?.call(&request)?;
        match json {
            true => context.out.json(&serde_json::json!({ "answer": answer })),
            false if answer.is_empty() => context.out.line("done"),
            false => context.out.line(&safe_text(&answer)),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::{Cli, Command};
    use clap::Parser;

    fn parse(more: &[&str]) -> Result<String, i32> {
        let arguments = [&["midimon", "plugin", "call", "echo", "play"], more].concat();
        match Cli::try_parse_from(arguments).map(|cli| cli.command) {
            Ok(Command::Plugin(plugin)) => Ok(format!("{plugin:?}")),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.exit_code()),
        }
    }

    #[test]
    fn parameters_are_json_or_toml_and_never_both() {
        assert!(parse(&[]).unwrap().contains("velocity: None"));
        let json = parse(&[r#"{"a": [1, "x"]}"#]).unwrap();
        let toml = parse(&["--params", "a = [1, 'x']", "--velocity", "127"]).unwrap();
        let values = r#"Array [Number(1), String("x")]"#;
        assert!(json.contains(values) && toml.contains(values), "{json} {toml}");
        assert!(toml.contains("velocity: Some(127)"), "{toml}");
        for wrong in [&["--params", "a ="][..], &["[1]"], &["--velocity", "128"], &["{}", "--params", "a = 1"]] {
            assert_eq!(parse(wrong), Err(2), "{wrong:?}");
        }
    }
}
