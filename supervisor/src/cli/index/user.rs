//! `index add`, `list`, `show`, `update` and `remove`.

use super::effects::{Looked, current, take_note, tell_daemon};
use crate::cli::output::{Colour, Look};
use crate::cli::plugin::daemon::failed;
use crate::cli::safe_text::{safe_lines, safe_text};
use crate::cli::table::{Cell, Side, Table};
use crate::cli::units::count;
use crate::cli::{CliError, Context};
use crate::plugins::index::IndexName;
use crate::plugins::index::apply::{self, Current};
use crate::plugins::index::subscriptions::{Subscription, Subscriptions};
use crate::plugins::minisign::{Fingerprint, PublicKey};
use crate::timestamp::Timestamp;
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "\
The key must come from where you know the index's publisher: it is what tells a
genuine index from any other. From then on `midimon plugin search` looks there.

Example:
  midimon index add /srv/midi-plugins --key friends.pub")]
pub(super) struct Add {
    /// The directory with index.json
    dir: PathBuf,
    /// The public key it must be signed with: the key, or the file with it
    #[arg(long, value_name = "KEY")]
    key: String,
    /// Call it this instead of what it calls itself
    #[arg(long)]
    name: Option<IndexName>,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    /// The index's name
    name: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
`plugin search`, `install` and `update` do the same before they use an index.
The exit code is 1 when an index cannot be used.")]
pub(super) struct Update {
    /// Only this index
    name: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct Remove {
    /// The index's name
    name: String,
}

/// One index, for people and programs.
#[derive(Debug, Serialize)]
struct Shown<'s> {
    name: &'s IndexName,
    calls_itself: &'s IndexName,
    dir: &'s str,
    key: PublicKey,
    fingerprint: Fingerprint,
    added: Timestamp,
    serial: u64,
    created: Timestamp,
    expires: Timestamp,
    expired: bool,
    revoked: Vec<String>,
}

impl<'s> Shown<'s> {
    fn new(entry: &'s Subscription, now: Timestamp) -> Self {
        let keys = entry.revoked_keys.iter().map(|it| format!("the key {}: {}", it.key.fingerprint(), it.reason));
        let versions = entry.revoked_versions.iter().map(|it| format!("{} {}: {}", it.id, it.version, it.reason));
        let revoked = keys.chain(versions).collect();
        Self {
            name: &entry.name,
            calls_itself: &entry.index,
            dir: &entry.dir,
            key: entry.key,
            fingerprint: entry.key.fingerprint(),
            added: entry.added,
            serial: entry.last.serial,
            created: entry.last.created,
            expires: entry.last.expires,
            expired: now >= entry.last.expires,
            revoked,
        }
    }

    fn text(&self, look: &Look) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| text.push_str(&format!("{name:<12} {value}\n"));
        line("name", self.name.as_str());
        if self.calls_itself != self.name {
            line("calls itself", self.calls_itself.as_str());
        }
        line("directory", &safe_text(self.dir));
        line("fingerprint", &self.fingerprint.to_string());
        line("key", &self.key.to_string());
        line("added", &self.added.to_string());
        line("serial", &format!("{}, made {}", self.serial, self.created));
        let colour = if self.expired { Colour::Bad } else { Colour::Good };
        line("expires", &look.paint(colour, &self.expires.to_string()));
        for revoked in &self.revoked {
            line("revoked", &safe_text(revoked));
        }
        text
    }
}

fn table(shown: &[Shown<'_>], look: &Look) -> String {
    let columns = [("NAME", Side::Left), ("SERIAL", Side::Right), ("EXPIRES", Side::Right), ("DIRECTORY", Side::Left)];
    let mut table = Table::new(&columns);
    for index in shown {
        let expires = format!("{:.10}", index.expires);
        let expires = if index.expired { Cell::new(expires, Colour::Bad) } else { expires.into() };
        table.row(vec![index.name.as_str().into(), index.serial.to_string().into(), expires, index.dir.into()]);
    }
    table.render(look)
}

/// What came of looking into an index, for programs.
#[derive(Debug, Serialize)]
struct LookedView<'c> {
    name: &'c IndexName,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<Timestamp>,
    is_new: bool,
    effects: &'c [apply::Effect],
}

fn told(current: &Current) -> String {
    let index = &current.index;
    let what = if current.is_new { "new" } else { "unchanged" };
    let plugins = count(index.plugins.len() as u64, "plugin");
    format!("{}: {what}, number {}, {plugins}, expires {:.10}", current.name, index.serial, index.expires)
}

impl Add {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let key = PublicKey::from_text_or_file(&self.key).map_err(|error| failed(format!("--key: {error}")))?;
        context.home.prepare()?;
        let added = apply::add(&context.home, &self.dir, key, self.name, Timestamp::now()).map_err(failed)?;
        take_note(context, [&added].into_iter())?;
        let (name, plugins) = (&added.name, count(added.index.plugins.len() as u64, "plugin"));
        context.out.print(&format!(
            "added        {name} ({plugins}, expires {:.10})\nfingerprint  {}\nnext         midimon plugin search\n",
            added.index.expires,
            key.fingerprint()
        ))
    }
}

impl List {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let (list, now) = (Subscriptions::load(&context.home).map_err(failed)?, Timestamp::now());
        let shown: Vec<Shown<'_>> = list.entries().iter().map(|entry| Shown::new(entry, now)).collect();
        if self.json {
            context.out.json(&shown)
        } else if shown.is_empty() {
            context.out.line("no indexes: `midimon index add DIR --key KEY` adds one")
        } else {
            context.out.print(&table(&shown, &context.out.look))
        }
    }
}

impl Show {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let list = Subscriptions::load(&context.home).map_err(failed)?;
        let shown = Shown::new(list.get(&self.name).map_err(failed)?, Timestamp::now());
        if self.json { context.out.json(&shown) } else { context.out.print(&shown.text(&context.out.look)) }
    }
}

impl Update {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let list = Subscriptions::load(&context.home).map_err(failed)?;
        let names = match &self.name {
            Some(name) => vec![list.get(name).map_err(failed)?.name.clone()],
            None => list.entries().iter().map(|entry| entry.name.clone()).collect(),
        };
        let all = current(context, &names)?;
        if self.json {
            context.out.json(&all.iter().map(looked).collect::<Vec<_>>())?;
        } else if all.is_empty() {
            context.out.line("no indexes: `midimon index add DIR --key KEY` adds one")?;
        }
        for result in all.iter().filter(|_| !self.json) {
            match result {
                Ok(current) => context.out.line(&told(current))?,
                Err((_, why)) => eprintln!("{}", safe_lines(why)),
            }
        }
        if all.iter().all(Result::is_ok) { Ok(()) } else { Err(CliError::Reported) }
    }
}

fn looked(result: &Looked) -> LookedView<'_> {
    match result {
        Ok(current) => LookedView {
            name: &current.name,
            ok: true,
            error: None,
            serial: Some(current.index.serial),
            expires: Some(current.index.expires),
            is_new: current.is_new,
            effects: &current.effects,
        },
        Err((name, why)) => {
            LookedView { name, ok: false, error: Some(why), serial: None, expires: None, is_new: false, effects: &[] }
        }
    }
}

impl Remove {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        context.home.prepare()?;
        let gone = Subscriptions::change(&context.home, |list| list.remove(&self.name)).map_err(failed)?;
        context.out.line(&format!("removed the index {}; what was installed from it stays", gone.name))?;
        if gone.revoked_keys.is_empty() && gone.revoked_versions.is_empty() {
            return Ok(());
        }
        context.out.line("what it revoked counts no longer")?;
        tell_daemon(context)
    }
}
