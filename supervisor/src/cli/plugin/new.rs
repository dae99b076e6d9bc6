//! `plugin new`: the beginning of a plugin.

use crate::cli::safe_text::safe_text;
use crate::cli::{CliError, Context};
use crate::plugins::templates::{Language, NewError, Sdk, find, word};
use crate::workers::status::PluginKind;
use clap::Args;
use midimon_shared::PluginId;
use std::path::PathBuf;

/// `midimon plugin new`
#[derive(Debug, Args)]
#[command(after_help = "\
It writes a directory of that name: a plugin that builds, with an action, a
README and a test. `midimon plugin dev` runs it.

Examples:
  midimon plugin new hello
  midimon plugin new hello --lang python
  midimon plugin new hello --lang rust --kind native --sdk ~/src/midimon/plugins/sdk")]
pub(super) struct New {
    /// The plugin's id: 2 to 64 of a-z, 0-9, '-' and '_'
    name: PluginId,
    /// What to write it in: rust, c, js or python
    #[arg(long, value_name = "LANGUAGE", default_value = "rust", value_parser = language)]
    lang: Language,
    /// What to build it to: native (a shared library) or wasm (a component);
    /// wasm unless said, native for c
    #[arg(long, value_name = "KIND", value_parser = kind)]
    kind: Option<PluginKind>,
    /// Where Rust has the SDK from: git (midimon's repository) or a directory
    #[arg(long, value_name = "git|DIR", default_value = "git", value_parser = sdk)]
    sdk: Sdk,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn language(text: &str) -> Result<Language, String> {
    let names = Language::ALL.map(|(name, _)| name).join(", ");
    let found = Language::ALL.into_iter().find(|(name, _)| *name == text);
    found.map(|(_, language)| language).ok_or_else(|| format!("there are templates for {names}"))
}

fn kind(text: &str) -> Result<PluginKind, String> {
    let found = [PluginKind::Native, PluginKind::Wasm].into_iter().find(|kind| word(*kind) == text);
    found.ok_or_else(|| "it is native or wasm".to_owned())
}

#[allow(clippy::unnecessary_wraps)] // as clap asks for it
fn sdk(text: &str) -> Result<Sdk, std::convert::Infallible> {
    Ok(if text == "git" { Sdk::Git } else { Sdk::Path(text.into()) })
}

impl New {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let failed = |error: NewError| CliError::Failed(error.to_string());
        let template = find(self.lang, self.kind).map_err(failed)?;
        let dir = PathBuf::from(self.name.as_str());
        let files = template.write(&self.name, &dir, &self.sdk).map_err(failed)?;
        let next = [format!("cd {}", self.name), "make".to_owned(), "midimon plugin dev .".to_owned()];
        if self.json {
            return context.out.json(&serde_json::json!({
                "id": self.name,
                "dir": dir,
                "language": template.language.to_string(),
                "kind": word(template.kind),
                "files": files,
                "next": next,
            }));
        }
        let mut text = format!("made {}: a {} plugin in {}\n", self.name, word(template.kind), template.language);
        for file in files {
            text += &format!("  {}\n", safe_text(file));
        }
        text += "next\n";
        for command in next {
            text += &format!("  {command}\n");
        }
        context.out.print(&text)
    }
}
