//! `check` and `explain`: the configuration without running it.

use super::output::{Colour, Look};
use super::safe_text::safe_text;
use super::units::count;
use super::{CliError, Context};
use crate::daemon::Catalogue;
use crate::mapping::config::{Code, Diagnostics, Loaded, Severity, load_file};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

/// `midimon check`
#[derive(Debug, Args)]
#[command(after_help = "\
All mistakes are shown at once, and mappings that do not fit the plugins that are there;
the exit code is 1 when there are errors, warnings leave it 0.

Examples:
  midimon check
  midimon check other.toml --json")]
pub struct Check {
    /// The configuration to read instead of the home's
    file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report<'a> {
    file: String,
    ok: bool,
    modes: usize,
    mappings: usize,
    diagnostics: &'a Diagnostics,
}

impl Check {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let path = self.file.unwrap_or_else(|| context.home.config_file());
        let mut loaded = load_file(&path);
        if let Ok(Loaded { plugins_dir, calls, warnings, .. }) = &mut loaded {
            Catalogue::compare(&context.home, plugins_dir.as_deref(), calls, warnings);
        }
        let report = Report::new(path.display().to_string(), &loaded);
        if self.json {
            context.out.json(&report)?;
        } else {
            context.out.print(&report.render(&context.out.look))?;
        }
        if report.ok { Ok(()) } else { Err(CliError::Reported) }
    }
}

impl<'a> Report<'a> {
    fn new(file: String, loaded: &'a Result<Loaded, Diagnostics>) -> Self {
        match loaded {
            Ok(Loaded { compiled, warnings, .. }) => {
                let (modes, mappings) = (compiled.modes.len(), compiled.mappings.len());
                Self { file, ok: true, modes, mappings, diagnostics: warnings }
            }
            Err(diagnostics) => Self { file, ok: false, modes: 0, mappings: 0, diagnostics },
        }
    }

    fn render(&self, look: &Look) -> String {
        let number = |severity, name| count(self.diagnostics.count(severity) as u64, name);
        let warnings = number(Severity::Warning, "warning");
        let summary = if self.ok {
            let (modes, mappings) = (count(self.modes as u64, "mode"), count(self.mappings as u64, "mapping"));
            format!("{}, {modes}, {mappings}, {warnings}", look.paint(Colour::Good, "ok"))
        } else {
            let errors = look.paint(Colour::Bad, &number(Severity::Error, "error"));
            format!("{errors}, {warnings}; `midimon explain CODE` says more about each")
        };
        format!("{}{}: {summary}\n", self.diagnostics.render(look.coloured), safe_text(&self.file))
    }
}

/// `midimon explain`
#[derive(Debug, Args)]
pub struct Explain {
    /// A code from a diagnostic, such as MM0103
    #[arg(value_parser = code)]
    code: Code,
}

impl Explain {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        context.out.line(&format!("{}: {}", self.code.as_str(), self.code.explanation()))
    }
}

fn code(text: &str) -> Result<Code, String> {
    let same = |code: &&Code| code.as_str().eq_ignore_ascii_case(text);
    Code::ALL.iter().find(same).copied().ok_or_else(|| "diagnostics show their code in brackets: [MM0103]".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> String {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        let loaded = load_file(&path);
        Report::new("config.toml".into(), &loaded).render(&Look::plain(80))
    }

    #[test]
    fn all_mistakes_are_shown_with_their_places_and_counted() {
        let mapping = |trigger: &str| {
            format!("[[modes.mappings]]\ntrigger = {trigger}\naction = {{ type = \"Log\", text = \"x\" }}\n")
        };
        let bad = r#"{ type = "Note", note = 128 }"#;
        let text = check(&format!("schema = 1\n[[modes]]\nname = \"Default\"\n{}", mapping(bad).repeat(5)));
        assert_eq!(text.matches("config.toml:").count(), 6, "five places and the summary: {text}");
        assert!(text.contains("\nconfig.toml: 5 errors, 0 warnings; "), "{text}");
    }

    #[test]
    fn a_file_that_is_not_there_is_an_error_that_names_it() {
        let loaded = load_file(std::path::Path::new("/nowhere/config.toml"));
        let text = Report::new("/nowhere/config.toml".into(), &loaded).render(&Look::plain(80));
        assert!(text.contains("MM0001") && text.contains("/nowhere/config.toml: 1 error"), "{text}");
    }

    #[test]
    fn codes_are_found_in_any_case_and_others_are_refused() {
        assert_eq!(code("mm0001").unwrap().as_str(), "MM0001");
        assert!(code("MM9999").is_err());
    }
}
