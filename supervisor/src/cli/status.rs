//! `status`: the whole daemon at one glance, once or live.

use super::output::{Colour, Look};
use super::safe_text::{safe_lines, safe_text};
use super::units::{count, seconds};
use super::{CliError, Context, worker_view};
use crate::control::model::{self, ConfigState, EngineCounts, PortStatus};
use crate::control::protocol::Request;
use clap::Args;
use std::time::{Duration, SystemTime};

/// `midimon status`
#[derive(Debug, Args)]
#[command(after_help = "\
CALLS = DONE + FAILED + TIMEOUT + DROPPED + PENDING, at every moment.

Examples:
  midimon status
  midimon status --watch                       live, ends with Ctrl-C
  midimon status --json | jq '.workers[].state'")]
pub struct Status {
    /// Show it anew every second
    #[arg(long, short)]
    watch: bool,
    /// Print JSON (with --watch one line each second)
    #[arg(long)]
    json: bool,
}

impl Status {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let mut client = context.connect()?;
        loop {
            let status: model::Status = client.call(&Request::Status)?;
            match (self.json, self.watch) {
                (true, false) => return context.out.json(&status),
                (true, true) => {
                    let line = serde_json::to_string(&status).map_err(|error| CliError::Failed(error.to_string()))?;
                    context.out.line(&line)?;
                }
                (false, watch) => {
                    let text = render(&status, now_unix_ms(), &context.out.look);
                    if !watch {
                        return context.out.print(&text);
                    }
                    // home, each line cleared as it is overwritten, then everything below
                    let frame = if context.out.is_terminal {
                        format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n"))
                    } else {
                        text + "\n"
                    };
                    context.out.print(&frame)?;
                }
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}

fn now_unix_ms() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// The status as text.
#[must_use]
pub fn render(status: &model::Status, now_unix_ms: u64, look: &Look) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| text.push_str(&format!("{:<9}{value}\n", name));
    line(
        "midimon",
        format!(
            "{} {}, pid {}, up {}",
            safe_text(&status.version),
            look.paint(Colour::Good, "running"),
            status.pid,
            seconds(status.uptime_s)
        ),
    );
    line("home", safe_text(&status.home.to_string_lossy()).into_owned());
    let config = &status.config;
    let path = safe_text(&config.path.to_string_lossy()).into_owned();
    let size = format!("{}, {}", count(config.modes as u64, "mode"), count(config.mappings as u64, "mapping"));
    match &config.state {
        ConfigState::Ok => line("config", format!("{path}: {}, {size}", look.paint(Colour::Good, "ok"))),
        ConfigState::Failed { since_unix_ms, diagnostics } => {
            let since = seconds(now_unix_ms.saturating_sub(*since_unix_ms) / 1_000);
            let failed = look.paint(Colour::Bad, &format!("has errors since {since}"));
            line("config", format!("{path}: {failed}; the one before it is in force: {size}"));
            for diagnostic in safe_lines(diagnostics.trim_end()).lines() {
                line("", diagnostic.to_owned());
            }
        }
    }
    line("mode", status.mode.as_deref().map_or_else(|| "-".into(), |mode| safe_text(mode).into_owned()));
    for (name, ports) in [("inputs", &status.inputs), ("outputs", &status.outputs)] {
        if ports.is_empty() {
            line(name, "none".to_owned());
        }
        for (index, port_status) in ports.iter().enumerate() {
            line(if index == 0 { name } else { "" }, port(port_status, look));
        }
    }
    line("engine", engine(&status.engine, look));
    if status.missed_events > 0 {
        line("monitor", format!("{} missed by slow watchers", count(status.missed_events, "event")));
    }
    for problem in status.problems.iter().flat_map(|problem| problem.lines()) {
        line("problem", look.paint(Colour::Bad, &safe_text(problem)));
    }
    text.push('\n');
    text.push_str(&worker_view::table(&status.workers, look));
    text
}

/// What came of a run that is over.
#[must_use]
pub fn summary(status: &model::Status, look: &Look) -> String {
    let problem = |problem: &String| look.paint(Colour::Bad, &safe_lines(problem)) + "\n";
    let problems: String = status.problems.iter().map(problem).collect();
    format!("{}\n{problems}\n{}", engine(&status.engine, look), worker_view::table(&status.workers, look))
}

fn engine(engine: &EngineCounts, look: &Look) -> String {
    let mut did = format!(
        "{}, {}, {}",
        count(engine.messages, "message"),
        count(engine.hits, "mapping hit"),
        count(engine.effects, "effect")
    );
    if engine.effects_failed > 0 {
        did += &look.paint(Colour::Bad, &format!(", {} failed", engine.effects_failed));
    }
    if engine.refused_delays > 0 {
        did += &look.paint(Colour::Bad, &format!(", {} mappings refused: too many delays", engine.refused_delays));
    }
    did
}

fn port(port: &PortStatus, look: &Look) -> String {
    let (colour, state) = if port.connected { (Colour::Good, "connected") } else { (Colour::Notice, "not connected") };
    let note = port.note.as_ref().map_or(String::new(), |note| format!(", {}", safe_text(note)));
    format!("{}: {}, {}{note}", safe_text(&port.name), look.paint(colour, state), count(port.messages, "message"))
}

#[cfg(test)]
mod tests {
    use super::super::worker_view::tests::{crashed, worker};
    use super::*;
    use crate::control::model::ConfigStatus;

    fn status() -> model::Status {
        let port = |name: &str, connected, note: Option<&str>| PortStatus {
            name: name.into(),
            connected,
            messages: 12,
            note: note.map(str::to_owned),
        };
        model::Status {
            version: "0.1.0".into(),
            pid: 42,
            uptime_s: 61,
            home: "/h".into(),
            config: ConfigStatus { path: "/h/config.toml".into(), state: ConfigState::Ok, modes: 1, mappings: 3 },
            mode: Some("Default".into()),
            inputs: vec![port("nanoPAD2", true, None), port("pad", false, Some("no port of that name"))],
            outputs: Vec::new(),
            engine: EngineCounts { messages: 24, hits: 1, effects: 2, effects_failed: 1, refused_delays: 0 },
            missed_events: 0,
            safe_mode: false,
            problems: vec!["plugin x: truncated\x07".into()],
            workers: vec![worker("echo")],
        }
    }

    #[test]
    fn a_person_sees_at_one_glance_what_runs() {
        let text = render(&status(), 0, &Look::plain(80));
        let expected = "\
midimon  0.1.0 running, pid 42, up 1m01s
home     /h
config   /h/config.toml: ok, 1 mode, 3 mappings
mode     Default
inputs   nanoPAD2: connected, 12 messages
         pad: not connected, 12 messages, no port of that name
outputs  none
engine   24 messages, 1 mapping hit, 2 effects, 1 failed
problem  plugin x: truncated\\u{7}

PLUGIN  KIND ";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn a_configuration_that_failed_says_since_when_and_why_and_what_is_in_force() {
        let mut status = status();
        status.config.state =
            ConfigState::Failed { since_unix_ms: 1_000, diagnostics: "error[MM0004]: a\n  --> x\x07".into() };
        let text = render(&status, 121_000, &Look::plain(80));
        assert!(text.contains("has errors since 2m00s; the one before it is in force: 1 mode, 3 mappings\n"), "{text}");
        assert!(text.contains("\n         error[MM0004]: a\n           --> x\\u{7}\n"), "{text}");
    }

    #[test]
    fn without_plugins_it_says_how_to_get_them() {
        let mut status = status();
        status.workers.clear();
        assert!(render(&status, 0, &Look::plain(80)).ends_with("under [plugins] in the configuration\n"));
    }

    #[test]
    fn it_survives_its_own_json() {
        let mut status = status();
        status.workers.push(crashed());
        let json = serde_json::to_string(&status).unwrap();
        let again: model::Status = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), json);
    }
}
