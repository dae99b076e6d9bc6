//! `logs`: what the daemon and the plugins wrote, with or without a daemon.

use super::output::{Colour, Look};
use super::safe_text::safe_text;
use super::tail::{Log, POLL, unreadable};
use super::{CliError, Context};
use clap::Args;
use midimon_shared::PluginId;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

/// What the daemon's own log is called in listings.
const DAEMON: &str = "midimon";

/// `midimon logs`
#[derive(Debug, Args)]
#[command(after_help = "\
A daemon that runs in the foreground prints its own log there, and not here.

Examples:
  midimon logs                 the last lines of every log
  midimon logs echo --follow   one plugin's, as they come
  midimon logs --daemon -n 100")]
pub struct Logs {
    /// One plugin's id
    name: Option<PluginId>,
    /// The daemon's own log only
    #[arg(long, conflicts_with = "name")]
    daemon: bool,
    /// Lines of each log
    #[arg(long, short = 'n', default_value_t = 20)]
    lines: usize,
    /// Go on as lines are written; ends with Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// Print a line of JSON for each line
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Entry<'a> {
    log: &'a str,
    line: &'a str,
}

impl Logs {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let mut followed: BTreeMap<String, Log> = BTreeMap::new();
        let files = self.files(context)?;
        if files.is_empty() && !self.follow {
            let whose = self.name.as_ref().map_or_else(String::new, |name| format!(" of '{name}'"));
            return Err(CliError::Failed(format!("no log{whose} in '{}'", context.home.logs_dir().display())));
        }
        for (name, path) in files {
            let (log, lines) = Log::open_at_tail(&path, self.lines).map_err(|error| unreadable(&path, &error))?;
            self.print(context, &name, &lines)?;
            followed.insert(name, log);
        }
        if !self.follow {
            return Ok(());
        }
        loop {
            std::thread::sleep(POLL);
            for (name, path) in self.files(context)? {
                let log = followed.entry(name.clone()).or_default();
                let lines = log.new_lines(&path).map_err(|error| unreadable(&path, &error))?;
                self.print(context, &name, &lines)?;
            }
        }
    }

    /// The logs asked for that exist, by the name they are listed under.
    fn files(&self, context: &Context) -> Result<Vec<(String, PathBuf)>, CliError> {
        let directory = context.home.logs_dir();
        let mut files = Vec::new();
        if let Some(id) = &self.name {
            files.push((id.to_string(), directory.join(format!("{id}.log"))));
        } else {
            files.push((DAEMON.to_owned(), context.home.daemon_log()));
        }
        if self.name.is_none() && !self.daemon {
            let entries = match std::fs::read_dir(&directory) {
                Ok(entries) => entries.collect::<io::Result<Vec<_>>>(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
                Err(error) => Err(error),
            };
            let names =
                entries.map_err(|error| unreadable(&directory, &error))?.into_iter().map(|entry| entry.file_name());
            let mut ids: Vec<PluginId> =
                names.filter_map(|name| name.to_str()?.strip_suffix(".log")?.parse().ok()).collect();
            ids.sort();
            files.extend(ids.into_iter().map(|id| (id.to_string(), directory.join(format!("{id}.log")))));
        }
        files.retain(|(_, path)| path.is_file());
        Ok(files)
    }

    fn print(&self, context: &Context, log: &str, lines: &[String]) -> Result<(), CliError> {
        let alone = self.name.is_some() || self.daemon;
        let text: String = lines.iter().map(|line| self.render(log, line, alone, &context.out.look)).collect();
        if text.is_empty() { Ok(()) } else { context.out.print(&text) }
    }

    fn render(&self, log: &str, line: &str, alone: bool, look: &Look) -> String {
        if self.json {
            // cannot fail: two strings
            return serde_json::to_string(&Entry { log, line }).unwrap_or_default() + "\n";
        }
        let line = safe_text(line);
        if alone { format!("{line}\n") } else { format!("{} {line}\n", look.paint(Colour::Strong, &format!("{log}:"))) }
    }
}
