//! `doctor`: what this machine offers, and the exact way to more.

use super::output::{Colour, Look};
use super::safe_text::safe_text;
use super::sandbox_view;
use super::{CliError, Context};
use crate::doctor::{Facts, Report, State};
use clap::Args;
use std::path::Path;

/// `midimon doctor`
#[derive(Debug, Args)]
#[command(after_help = "\
It needs no daemon, and changes nothing: to see what the sandbox achieves here, a
worker is started without a plugin and ended again.

Exit code: 1 when plugins cannot run in the whole sandbox, else 0.

Examples:
  midimon doctor
  midimon doctor --json | jq '.findings[] | select(.state != \"ok\")'")]
pub struct Doctor {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let program = std::env::current_exe()
            .map_err(|error| CliError::Failed(format!("cannot tell where the running program is: {error}")))?;
        let report = Report::new(&Facts::gather(program.parent().unwrap_or(Path::new("/"))));
        if self.json {
            context.out.json(&report)?;
        } else {
            context.out.print(&render(&report, &context.out.look))?;
        }
        if report.ok { Ok(()) } else { Err(CliError::Reported) }
    }
}

fn render(report: &Report, look: &Look) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let (word, colour) = match finding.state {
            State::Ok => ("ok", Colour::Good),
            State::Limited => ("limited", Colour::Notice),
            State::Missing => ("missing", Colour::Bad),
        };
        // painted after it is padded: colours have no width
        let state = look.paint(colour, &format!("{word:<8}"));
        text.push_str(&format!("{:<13}{state}{}\n", finding.what, safe_text(&finding.detail)));
        if let Some(fix) = &finding.fix {
            text.push_str(&format!("{:<13}{} {}\n", "", look.paint(Colour::Strong, "fix:"), safe_text(fix)));
        }
    }
    if !report.layers.is_empty() {
        text.push_str(&format!("\n{}\n", look.paint(Colour::Strong, "the sandbox of a worker without a plugin")));
        text.push_str(&sandbox_view::layers(&report.layers, look));
    }
    let (summary, colour) = match report.ok {
        true => (format!("plugins run here in the sandbox's level {}", report.sandbox), Colour::Good),
        false => ("plugins do not start here until what is missing is there".to_owned(), Colour::Bad),
    };
    text + "\n" + &look.paint(colour, &summary) + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Finding;
    use midimon_shared::sandbox::{Layer, LayerReport, SandboxLevel};

    fn report(ok: bool) -> Report {
        let finding = |what, state, fix: Option<&str>| Finding {
            what,
            state,
            detail: "found\x1b[2J".into(),
            fix: fix.map(str::to_owned),
            baseline: state == State::Missing,
        };
        Report {
            ok,
            sandbox: SandboxLevel::Baseline,
            findings: vec![finding("kernel", State::Ok, None), finding("landlock", State::Missing, Some("do this"))],
            layers: vec![LayerReport::active(Layer::NoNewPrivs, "set")],
        }
    }

    #[test]
    fn each_thing_is_a_line_with_its_fix_below_and_forges_nothing() {
        let expected = "\
kernel       ok      found\\u{1b}[2J
landlock     missing found\\u{1b}[2J
             fix: do this

the sandbox of a worker without a plugin
  no-new-privs     active      set

plugins do not start here until what is missing is there
";
        assert_eq!(render(&report(false), &Look::plain(80)), expected);
        assert!(render(&report(true), &Look::plain(80)).ends_with("in the sandbox's level baseline\n"));
    }

    #[test]
    fn programs_read_the_same_as_json() {
        let json = serde_json::to_value(report(true)).unwrap();
        assert_eq!((&json["ok"], &json["sandbox"]), (&true.into(), &"baseline".into()));
        assert_eq!(json["findings"][1]["state"], "missing");
        assert_eq!(json["findings"][1]["fix"], "do this");
        assert_eq!(json["layers"][0]["layer"], "no-new-privs");
    }
}
