//! `plugin dev`: builds a plugin, runs it in its sandbox, calls it from the keyboard, and
//! begins again when its source changes.

mod build;
mod keyboard;
mod keys;
mod session;
mod watch;

use crate::cli::output::Colour;
use crate::cli::safe_text::safe_text;
use crate::cli::{CliError, Context};
use crate::control::protocol::Params;
use crate::plugins::grants::DevGrants;
use crate::plugins::manifest::{FILE_NAME, Manifest};
use build::Project;
use clap::{Args, value_parser};
use keyboard::{Input, Keyboard};
use keys::{Press, press};
use midimon_shared::Capability;
use session::{Place, Session};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use watch::Watch;

/// How often the source, the plugin and its log are looked at while nothing is typed.
const LOOK: Duration = Duration::from_millis(200);

/// `midimon plugin dev`
#[derive(Debug, Args)]
#[command(after_help = "\
In a terminal the number keys call the actions of plugin.toml with their examples,
space calls again, r builds again, q ends. Elsewhere each line of the input is a call:
ACTION, then parameters in TOML. It runs in a home of its own, apart from your daemon.

Examples:
  midimon plugin dev .
  midimon plugin dev . --grant network:localhost:4455 --set 'name = \"Ada\"'
  echo \"greet name = 'Ada'\" | midimon plugin dev .")]
pub(super) struct Dev {
    /// The plugin's directory, with plugin.toml and a Makefile or Cargo.toml
    dir: PathBuf,
    /// Grant this beside what plugin.toml names a target for; it is the answer to an `ask` (repeatable)
    #[arg(long = "grant", value_name = "CAPABILITY")]
    grants: Vec<Capability>,
    /// Set this in the plugin's settings, a line of TOML (repeatable)
    #[arg(long = "set", value_name = "TOML")]
    settings: Vec<String>,
    /// The velocity of its calls, 0 to 127
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = value_parser!(u8).range(..=127))]
    velocity: u8,
}

impl Dev {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let project = Project::open(&self.dir)?;
        // before anything is started: from here on Ctrl-C is something this reads
        let keyboard = Keyboard::open()?;
        let place = Place::new()?;
        let last = None;
        Running { options: &self, context, project, keyboard, place, session: None, manifest: None, last }.run()
    }
}

/// A call that can be repeated.
#[derive(Clone, Debug)]
struct Call {
    action: String,
    params: Params,
}

struct Running<'a> {
    options: &'a Dev,
    context: &'a Context,
    project: Project,
    keyboard: Keyboard,
    /// Ends before its place goes.
    session: Option<Session>,
    place: Place,
    /// Of what runs.
    manifest: Option<Manifest>,
    last: Option<Call>,
}

impl Running<'_> {
    fn run(mut self) -> Result<(), CliError> {
        let mut watch = Watch::new(self.project.snapshot());
        self.begin(&mut watch)?;
        let mut failed = false;
        loop {
            let input = self.keyboard.wait(LOOK)?;
            self.print_log()?;
            match input {
                Input::Key(byte) => match press(byte, self.manifest.as_ref().map_or(0, |known| known.actions.len())) {
                    Press::Action(index) => self.call_number(index)?,
                    Press::Again => self.call_again()?,
                    Press::Rebuild => self.begin(&mut watch)?,
                    Press::Help => self.menu()?,
                    Press::End => return self.end(),
                    Press::Nothing => {}
                },
                Input::Line(line) => failed |= !self.call_line(&line)?,
                Input::Nothing if self.keyboard.is_terminal() => {
                    if watch.look(self.project.snapshot()) {
                        self.note("the source has changed")?;
                        self.begin(&mut watch)?;
                    }
                }
                Input::Nothing => {}
                Input::End => {
                    self.end()?;
                    return if failed { Err(CliError::Reported) } else { Ok(()) };
                }
            }
        }
    }

    /// Builds and starts. In a terminal what goes wrong is shown, and the next change is waited for.
    fn begin(&mut self, watch: &mut Watch) -> Result<(), CliError> {
        let before = self.project.snapshot();
        let begun = self.build_and_start();
        watch.built(before, self.project.snapshot());
        match begun {
            Err(CliError::Output(error)) => Err(CliError::Output(error)),
            Err(error) if self.keyboard.is_terminal() => {
                self.print_log()?;
                let text = format!("{error}\nchange something, or press r to try again, q to end");
                self.context.out.line(&self.context.out.look.paint(Colour::Bad, &text))
            }
            other => other,
        }
    }

    fn build_and_start(&mut self) -> Result<(), CliError> {
        self.end()?; // so that nothing answers for the new one
        self.manifest = None;
        self.note(&format!("building: {}", self.project.builder()))?;
        let started = Instant::now();
        let code = self.project.build()?;
        let manifest = Manifest::read(self.project.dir()).map_err(|error| CliError::Failed(error.to_string()))?;
        let code = code.unwrap_or_else(|| self.project.dir().join(&manifest.entry));
        self.note(&format!("built in {:.1} s", started.elapsed().as_secs_f64()))?;
        self.place.stage(&self.project.dir().join(FILE_NAME), &code, &manifest)?;
        let mut grants: Vec<Capability> = manifest.capabilities.iter().map(|asked| asked.capability.clone()).collect();
        grants.extend(self.options.grants.iter().filter(|grant| !grants.contains(grant)).cloned().collect::<Vec<_>>());
        let answered = DevGrants::new(&manifest, &grants).map_err(|fault| CliError::Failed(fault.to_string()))?;
        for (prompt, blank) in answered.blanks() {
            self.note(&format!("it asks for \"{}\": answer with --grant '{blank}'", safe_text(prompt)))?;
        }
        self.place.configure(&manifest, &grants, &self.options.settings)?;
        let mut session = Session::start(&self.place, &manifest.id)?;
        let keyboard = &mut self.keyboard;
        let ready = session.wait_ready(|| keyboard.is_interrupted());
        self.session = Some(session); // even when it is not ready: its log says why
        let pid = ready?;
        let shown: Vec<String> = grants.iter().map(|grant| safe_text(&grant.to_string()).into_owned()).collect();
        let granted =
            if shown.is_empty() { "nothing granted".to_owned() } else { format!("granted: {}", shown.join(", ")) };
        self.note(&format!("{} {} runs: pid {pid}, {granted}", manifest.id, manifest.version))?;
        self.manifest = Some(manifest);
        if self.keyboard.is_terminal() { self.menu() } else { Ok(()) }
    }

    fn menu(&self) -> Result<(), CliError> {
        let out = &self.context.out;
        let actions = self.manifest.as_ref().map_or(&[][..], |manifest| &manifest.actions);
        if actions.is_empty() {
            out.line("  plugin.toml has no [[actions]] to call")?;
        }
        for (number, action) in (1..=keys::MOST).zip(actions) {
            let example = action
                .example
                .clone()
                .map_or_else(String::new, |example| format!("  {}", serde_json::Value::Object(example)));
            let (name, does) = (safe_text(&action.name), safe_text(&action.description));
            out.line(&format!("  {number} {name}  {does}{}", out.look.paint(Colour::Faint, &safe_text(&example))))?;
        }
        out.line("  space: again, r: build again, h: this list, q: end")
    }

    fn call_number(&mut self, index: usize) -> Result<(), CliError> {
        let Some(action) = self.manifest.as_ref().and_then(|manifest| manifest.actions.get(index)) else {
            return Ok(());
        };
        let call = Call { action: action.name.clone(), params: action.example.clone().unwrap_or_default() };
        self.call(call).map(drop)
    }

    fn call_again(&mut self) -> Result<(), CliError> {
        match self.last.clone() {
            Some(call) => self.call(call).map(drop),
            None => self.note("nothing was called yet"),
        }
    }

    /// Whether it was a call that went well.
    fn call_line(&mut self, line: &str) -> Result<bool, CliError> {
        match keys::call_of(line) {
            Ok(None) => Ok(true),
            Ok(Some((action, params))) => self.call(Call { action, params }),
            Err(error) => {
                self.context.out.line(&format!("✗ {}", safe_text(&error)))?;
                Ok(false)
            }
        }
    }

    /// Calls it and shows what came of it; whether it went well.
    fn call(&mut self, call: Call) -> Result<bool, CliError> {
        let Some(session) = &mut self.session else {
            self.note("nothing runs: press r to build again")?;
            return Ok(false);
        };
        let started = Instant::now();
        let answer = session.call(&call.action, call.params.clone(), self.options.velocity);
        let took = format!("{:.1} ms", started.elapsed().as_secs_f64() * 1000.0);
        // what it logged meanwhile comes first
        self.print_log()?;
        let (action, look) = (safe_text(&call.action), &self.context.out.look);
        let line = match &answer {
            Ok(text) if text.is_empty() => format!("{} {action}: done", look.paint(Colour::Good, "←")),
            Ok(text) => format!("{} {action}: {}", look.paint(Colour::Good, "←"), safe_text(text)),
            Err(error) => format!("{} {action}: {}", look.paint(Colour::Bad, "✗"), safe_text(&error.to_string())),
        };
        self.context.out.line(&format!("{line}  {}", look.paint(Colour::Faint, &took)))?;
        self.last = Some(call);
        Ok(answer.is_ok())
    }

    /// Ends what runs; its last words are not lost.
    fn end(&mut self) -> Result<(), CliError> {
        let lines = self.session.take().map_or_else(Vec::new, Session::finish);
        self.print_lines(&lines)
    }

    fn print_log(&mut self) -> Result<(), CliError> {
        let lines = self.session.as_mut().map_or_else(Vec::new, Session::new_lines);
        self.print_lines(&lines)
    }

    fn print_lines(&self, lines: &[String]) -> Result<(), CliError> {
        for line in lines {
            let log = self.context.out.look.paint(Colour::Faint, "log");
            self.context.out.line(&format!("{log} {}", safe_text(line)))?;
        }
        Ok(())
    }

    fn note(&self, text: &str) -> Result<(), CliError> {
        self.context.out.line(&self.context.out.look.paint(Colour::Notice, &safe_text(text)))
    }
}
