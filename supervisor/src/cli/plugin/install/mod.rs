//! `plugin install` and `plugin update`: verify, show, ask, install.

mod dialogue;
mod flags;
mod indexed;
mod interrupt;
mod report;
mod screen;
mod terminal;

use crate::cli::output::{Look, coloured_stderr};
use crate::cli::plugin::config::in_development;
use crate::cli::plugin::daemon::{failed, lock};
use crate::cli::plugin::loosened::loosened;
use crate::cli::safe_text::safe_lines;
use crate::cli::{CliError, Context};
use crate::home::Home;
use crate::mapping::config::load_file;
use crate::plugins::index::choose::{Unavailable, Wanted};
use crate::plugins::install::plan::Signer;
use crate::plugins::install::{Agreed, Done, Local, Packages, Plan, Stopped, Workshop, look};
use crate::plugins::minisign::PublicKey;
use crate::plugins::package::{Contents, SUFFIX};
use crate::plugins::store::Store;
use crate::plugins::trust::{How, NameError, PublisherName, TrustStore};
use crate::timestamp::Timestamp;
use clap::Args;
use dialogue::{Answers, converse};
use flags::Flags;
use indexed::Lookup;
use interrupt::Watcher;
use midimon_shared::spawn::MissingLayers;
use midimon_shared::{Limits, PluginId};
use report::Report;
use std::path::PathBuf;
use terminal::Terminal;

/// `midimon plugin install`
#[derive(Debug, Args)]
#[command(after_help = "\
You are shown who signed it and what it may do, and asked. Where nobody can be asked, everything it
asks for must be named with --grant or --deny, and --yes says that you agree.

Examples:
  midimon plugin install notes                          from an index you added
  midimon plugin install notes@1.0.0                    this version
  midimon plugin install notes-1.0.0.mmp
  midimon plugin install notes-1.0.0.mmp --key notes.pub --key-name Ada --grant filesystem --yes
  midimon plugin install notes-1.0.0.mmp --dry-run      show it, and change nothing
  midimon plugin install ./my-plugin --allow-unsigned   a directory with plugin.toml")]
pub struct Install {
    /// The package, with its signature FILE.minisig beside it; or a directory; or a name in an index
    #[arg(value_name = "FILE|DIR|NAME[@VERSION]")]
    what: PathBuf,
    #[command(flatten)]
    lookup: Lookup,
    #[command(flatten)]
    terms: Terms,
}

/// `midimon plugin update`
#[derive(Debug, Args)]
#[command(after_help = "\
An update must be signed with the key of the installed version and have a higher version number.
What it asks for beyond what you agreed to is shown and asked; until you agree, the version you have
stays.

Examples:
  midimon plugin update                        everything the indexes have newer versions of
  midimon plugin update notes                  from an index
  midimon plugin update notes notes-1.1.0.mmp")]
pub struct Update {
    /// The plugin's id; without it, every installed plugin
    name: Option<PluginId>,
    /// The package, with its signature FILE.minisig beside it; or a directory; without it, the newest in an index
    #[arg(value_name = "FILE|DIR", conflicts_with_all = ["index", "pre"])]
    file: Option<PathBuf>,
    #[command(flatten)]
    lookup: Lookup,
    #[command(flatten)]
    terms: Terms,
}

#[derive(Debug, Args)]
struct Terms {
    /// The public key it must be signed with: the key, or the file with it
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Pin a key that is seen for the first time under this name, by which you know its publisher
    #[arg(long, value_name = "NAME", requires = "key")]
    key_name: Option<String>,
    /// Allow something it asks for (repeatable): filesystem, network:HOST:PORT, ...
    #[arg(long, value_name = "CAPABILITY", requires = "yes")]
    grant: Vec<String>,
    /// Do not allow something it asks for (repeatable)
    #[arg(long, value_name = "CAPABILITY", requires = "yes")]
    deny: Vec<String>,
    /// Agree to what --grant and --deny name, without being asked
    #[arg(long)]
    yes: bool,
    /// Install a package nobody signed; it stays marked
    #[arg(long)]
    allow_unsigned: bool,
    /// Install a version below one that was installed before
    #[arg(long)]
    allow_downgrade: bool,
    /// Check and show it, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Print JSON; asks nothing
    #[arg(long)]
    json: bool,
}

impl Install {
    pub(in crate::cli) fn execute(self, context: &Context) -> Result<(), CliError> {
        let text = self.what.to_str().unwrap_or_default();
        let is_path =
            self.lookup.index.is_none() && (self.what.exists() || text.contains('/') || text.ends_with(SUFFIX));
        match text.parse::<Wanted>() {
            Ok(wanted) if !is_path => {
                let found = self.lookup.indexes(context)?.find(&wanted, None).map_err(failed)?;
                self.terms.run(context, &found, Some(&wanted.id))
            }
            Err(error) if self.lookup.index.is_some() => Err(failed(error)),
            _ => self.terms.run(context, &Local::new(&self.what), None),
        }
    }
}

impl Update {
    pub(in crate::cli) fn execute(self, context: &Context) -> Result<(), CliError> {
        let store = Store::open(&context.home);
        let Some(id) = &self.name else { return self.all(context, &store) };
        let record = store.get(id).map_err(failed)?;
        let record =
            record.ok_or_else(|| failed(format!("'{id}' is not installed; `midimon plugin install` installs it")))?;
        if let Some(file) = &self.file {
            return self.terms.run(context, &Local::new(file), Some(id));
        }
        let wanted = Wanted { id: id.clone(), version: None };
        match self.lookup.indexes(context)?.find(&wanted, Some(&record.current)) {
            Ok(found) => self.terms.run(context, &found, Some(id)),
            Err(newest @ Unavailable::UpToDate { .. }) => context.out.line(&newest.to_string()),
            Err(error) => Err(failed(error)),
        }
    }

    /// Every plugin that an index has a newer version of, one after the other.
    fn all(&self, context: &Context, store: &Store) -> Result<(), CliError> {
        if self.terms.json {
            return Err(failed("--json is for one plugin; name it"));
        }
        let indexes = self.lookup.indexes(context)?;
        let (mut updated, mut failures) = (0_u64, 0_u64);
        for record in store.list().map_err(failed)?.into_iter().flatten() {
            let wanted = Wanted { id: record.id.clone(), version: None };
            let done = match indexes.find(&wanted, Some(&record.current)) {
                Err(Unavailable::UpToDate { .. } | Unavailable::NotListed { .. }) => continue,
                Err(error) => Err(failed(error)),
                Ok(found) => self.terms.run(context, &found, Some(&record.id)),
            };
            match done {
                Ok(()) => updated += 1,
                Err(error @ CliError::Output(_)) => return Err(error),
                Err(error) => {
                    failures += 1;
                    eprintln!("{}: {}", record.id, safe_lines(&error.to_string()));
                }
            }
        }
        if updated + failures == 0 {
            context.out.line("nothing in the indexes is newer than what is installed")?;
        }
        if failures == 0 { Ok(()) } else { Err(CliError::Reported) }
    }
}

impl Terms {
    fn run(&self, context: &Context, source: &dyn Packages, only: Option<&PluginId>) -> Result<(), CliError> {
        let home = &context.home;
        home.prepare()?;
        let key = self.key.as_deref().map(PublicKey::from_text_or_file).transpose().map_err(failed)?;
        let store = Store::open(home);
        let trust = TrustStore::load(home).map_err(failed)?;
        let offer = source.offer().map_err(failed)?;
        let contents = offer.read(&trust, key.as_ref(), self.allow_unsigned).map_err(failed)?;
        source.check(&contents).map_err(failed)?;
        if let Some(id) = only.filter(|id| **id != contents.manifest.id) {
            return Err(CliError::Failed(format!("this is a package of '{}', not of '{id}'", contents.manifest.id)));
        }
        let plan = look(&store, &trust, &contents, self.allow_downgrade).map_err(failed)?;
        for sentence in loosened(context, &plan.id) {
            eprintln!("warning: {sentence}");
        }
        if in_development(context, &plan.id).is_some() {
            eprintln!(
                "warning: the plugin in [plugins] dir that has the id '{0}' too runs, and not this one: take it out of \
                 there, or change its id, to use what you install",
                plan.id
            );
        }
        if self.dry_run {
            return self.show(context, &plan);
        }
        let answers = self.agree(&plan, &trust, key.as_ref())?;
        let grants = plan.agree(&answers.choices);
        let holds = grants.effective(&contents.manifest, contents.publisher.as_ref()).map_err(failed)?;
        let granted: Vec<String> = holds.iter().map(ToString::to_string).collect();
        let agreed = Agreed { grants, key_name: answers.key_name, downgrade: self.allow_downgrade };
        let done = self.install(context, contents, &plan, agreed)?;
        Report::new(context, &plan, granted, done.untried)?.print(context, self.json)
    }

    fn show(&self, context: &Context, plan: &Plan) -> Result<(), CliError> {
        if self.json {
            return context.out.json(&report::PlanView::from(plan));
        }
        context.out.print(&screen::screen(plan, &context.out.look, usize::MAX))
    }

    /// The user's word on everything that is new.
    fn agree(&self, plan: &Plan, trust: &TrustStore, given: Option<&PublicKey>) -> Result<Answers, CliError> {
        let names = |name: &str| name_for(plan, trust, name);
        let mut terminal = if self.yes || self.json { None } else { Terminal::open() };
        if let Some(person) = &mut terminal {
            let (width, height) = Terminal::size();
            let look = Look { coloured: coloured_stderr(), width };
            let room = height.saturating_sub(questions(plan));
            person.show(&screen::screen(plan, &look, room))?;
            if !plan.needs_no_consent() {
                return converse(plan, &names, person);
            }
            return Ok(Answers { choices: Vec::new(), key_name: None });
        }
        let mut faults = Vec::new();
        let key_name = match &plan.signer {
            Signer::Key(key, _) if plan.is_first_sight() => {
                if given.is_none() {
                    faults.push(format!(
                        "its key was never seen here, and nobody can be asked about it; when you know from elsewhere \
                         that it is the publisher's, add\n  --key {key}"
                    ));
                }
                match &self.key_name {
                    Some(name) => names(name).map_err(|why| faults.push(why)).ok(),
                    None => {
                        let why = "its key needs a name by which you know its publisher; add\n  --key-name NAME";
                        faults.push(why.to_owned());
                        None
                    }
                }
            }
            _ => None,
        };
        let flags = Flags { grant: self.grant.clone(), deny: self.deny.clone() };
        let choices = flags::choices(plan, &flags).map_err(|fault| faults.push(fault)).unwrap_or_default();
        if !self.yes && !plan.needs_no_consent() {
            faults.push("nobody can be asked here (no terminal); add --yes to agree".to_owned());
        }
        if faults.is_empty() { Ok(Answers { choices, key_name }) } else { Err(CliError::Failed(faults.join("\n"))) }
    }

    fn install(&self, context: &Context, contents: Contents, plan: &Plan, agreed: Agreed) -> Result<Done, CliError> {
        let locked = lock(context)?;
        let home = &context.home;
        // what was agreed to must still be what would happen
        let trust = TrustStore::load(home).map_err(failed)?;
        if look(&locked, &trust, &contents, self.allow_downgrade).map_err(failed)? != *plan {
            return Err(failed("something changed while you were asked; nothing was installed, run it again"));
        }
        let (limits, missing_layers) = limits(home, &plan.id);
        let workshop = Workshop { home, programs: None, limits, missing_layers };
        let watcher = Watcher::start().map_err(failed)?;
        let done = workshop.install(&locked, contents, agreed, &watcher);
        watcher.done(done.is_ok());
        match done {
            Err(_) if watcher.was_stopped() => Err(failed(Stopped)),
            done => done.map_err(failed),
        }
    }
}

/// Lines the questions take below the screen.
fn questions(plan: &Plan) -> usize {
    use crate::plugins::install::plan::Wanted;
    let typed = plan.new_items().filter(|item| matches!(item.wanted, Wanted::Typed { .. })).count();
    // the key's name, the decision and the plugin's name, and the line of steps
    3 + typed + usize::from(plan.is_first_sight())
}

/// Whether the plan's key can be pinned under this name.
fn name_for(plan: &Plan, trust: &TrustStore, name: &str) -> Result<PublisherName, String> {
    let name: PublisherName = name.parse().map_err(|error: NameError| error.to_string())?;
    if let Some(key) = plan.signer.key() {
        let pinned = trust.clone().trust(*key, name.clone(), How::FirstSight, Timestamp::now()).map(drop);
        pinned.map_err(|refusal| refusal.to_string())?;
    }
    Ok(name)
}

/// The user's word on the plugin in the configuration, where that can be read; it is
/// what the plugin will run under.
fn limits(home: &Home, id: &PluginId) -> (Limits, MissingLayers) {
    let settings =
        load_file(&home.config_file()).ok().and_then(|loaded| loaded.plugins.get(id).cloned()).unwrap_or_default();
    let layers = if settings.allow_degraded { MissingLayers::Accept } else { MissingLayers::Refuse };
    (settings.apply(&Limits::default()), layers)
}
