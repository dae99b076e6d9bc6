//! Installed plugins, made without the commands that ask and try.

use crate::{Bed, Config, Daemon};
use midimon::home::Home;
use midimon::plugins::package::Contents;
use midimon::plugins::store::{Incoming, Store};
use midimon::plugins::{GrantFile, Grants};
use std::fs;
use std::path::Path;

/// The store of a bed.
///
/// # Panics
/// Its home cannot be used.
#[must_use]
pub fn store(bed: &Bed) -> Store {
    let home = Home::at(&bed.home()).expect("a home");
    home.prepare().expect("its directories");
    Store::open(&home)
}

/// Installs a plugin's directory, unsigned, with these grants of what it asks for.
///
/// # Panics
/// It cannot be installed.
pub fn install(bed: &Bed, dir: &Path, granted: &[&str]) {
    let contents = Contents::from_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let asked: Grants = contents.manifest.capabilities.iter().map(|request| request.capability.clone()).collect();
    let grants = GrantFile {
        plugin: contents.manifest.id.clone(),
        publisher: None,
        asked,
        granted: Grants::parse(granted.iter().copied()).expect("grants"),
        answers: Vec::new(),
    };
    let locked = store(bed).lock(|_| ()).expect("the store's lock");
    let staged = locked.stage(&Incoming::from(&contents)).expect("staged files");
    locked.commit(staged, grants, false).expect("an installed plugin");
}

/// An installed plugin of the examples, and nothing under development.
///
/// # Panics
/// It cannot be installed.
#[must_use]
pub fn bed(id: &str, granted: &[&str]) -> Bed {
    let bed = Bed::new();
    let dir = bed.install(id);
    bed.configure(&Config::new().note(60, id, "say"));
    install(&bed, &dir, granted);
    fs::remove_dir_all(dir).expect("the plugin's own directory gone");
    bed
}

/// Runs a command that works; what it prints, on either output.
///
/// # Panics
/// It fails.
pub fn run(bed: &Bed, arguments: &[&str]) -> String {
    let output = bed.run(arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {text}");
    text
}

/// Waits for a problem with `part` in it, and gives it.
///
/// # Panics
/// It does not come.
pub fn wait_problem(daemon: &Daemon, part: &str) -> String {
    let has = |problem: &&String| problem.contains(part);
    let status = daemon.wait_status(part, |status| status.problems.iter().any(|problem| has(&problem)));
    status.problems.iter().find(has).expect("the problem").clone()
}
