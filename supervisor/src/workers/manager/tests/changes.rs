//! What is stopped when what is installed changes, whatever else goes on.

use super::*;
use crate::home::Home;
use crate::plugins::package::Contents;
use crate::plugins::store::Incoming;
use crate::plugins::{GrantFile, Grants};
use crate::workers::status::Origin;

const MANIFEST: &str = "schema = 1\nid = \"notes\"\nname = \"Notes\"\nversion = \"1.0.0\"\nkind = \"wasm\"\n\
                        entry = \"notes.wasm\"\n\n[[capabilities]]\ncapability = \"filesystem\"\nreason = \"x\"\n";

struct Changes {
    bench: Bench,
    store: Store,
}

fn notes_in(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("plugin.toml"), MANIFEST).unwrap();
    fs::write(dir.join("notes.wasm"), b"\0asm\x01\0\0\0notes").unwrap();
}

impl Changes {
    /// With these bare plugins under development, and `notes` installed and granted its files.
    fn new(plugins: &[&str]) -> Self {
        let at = |directory: &Path| {
            let home = Home::at(&directory.join("home")).unwrap();
            home.prepare().unwrap();
            Store::open(&home)
        };
        let bench = Bench::with_store(plugins, |directory| Some(at(directory)));
        let store = at(bench.directory.path());
        notes_in(&bench.path("package"));
        let contents = Contents::from_dir(&bench.path("package")).unwrap();
        let changes = Self { bench, store };
        let locked = changes.store.lock(|_| ()).unwrap();
        let staged = locked.stage(&Incoming::from(&contents)).unwrap();
        locked.commit(staged, grants(&["filesystem"]), false).unwrap();
        drop(locked);
        changes.bench.let_it_end();
        changes
    }

    fn list(&self) -> Vec<String> {
        self.bench.manager.list().iter().map(ToString::to_string).collect()
    }

    fn origin(&self, plugin: &str) -> Origin {
        self.bench.manager.plugins().installed[&id(plugin)].spec.origin
    }

    fn allow(&self, granted: &[&str]) {
        self.store.lock(|_| ()).unwrap().save_grants(&grants(granted)).unwrap();
    }
}

fn grants(granted: &[&str]) -> GrantFile {
    GrantFile {
        plugin: id("notes"),
        publisher: None,
        asked: Grants::parse(["filesystem"]).unwrap(),
        granted: Grants::parse(granted.iter().copied()).unwrap(),
        answers: Vec::new(),
    }
}

#[test]
fn what_has_lost_a_grant_is_stopped_before_anything_is_compiled() {
    let changes = Changes::new(&["aa"]);
    let manager = &changes.bench.manager;
    manager.sync();
    assert_eq!(changes.list(), ["aa", "notes"]);
    manager.store_changed().unwrap();
    assert_eq!(changes.list(), ["aa", "notes"], "nothing has changed");
    changes.allow(&[]);
    // nothing is being compiled now, and the next sync will compile this before it comes to `notes`
    assert!(!manager.loading().waiting.contains(&id("notes")));
    manager.store_changed().unwrap();
    assert_eq!(changes.list(), ["aa"]);
    manager.sync();
    assert_eq!(changes.list(), ["aa", "notes"], "it is back with less");
    assert!(manager.plugins().installed[&id("notes")].grants.iter().next().is_none());
    // more than before is no reason to stop it
    changes.allow(&["filesystem"]);
    manager.store_changed().unwrap();
    assert_eq!(changes.list(), ["aa", "notes"]);
}

#[test]
fn a_plugin_directory_that_cannot_be_read_keeps_nothing_installed_running() {
    for by_sync in [false, true] {
        let changes = Changes::new(&["aa"]);
        let manager = &changes.bench.manager;
        manager.sync();
        fs::rename(changes.bench.path("plugins"), changes.bench.path("elsewhere")).unwrap();
        manager.sync();
        assert_eq!(changes.list(), ["aa", "notes"], "what runs goes on");
        let told = manager.problems();
        assert!(told.iter().any(|problem| problem.reason.contains("cannot read the plugin directory")), "{told:?}");
        changes.store.lock(|_| ()).unwrap().set_enabled(&id("notes"), false, None).unwrap();
        if by_sync {
            manager.sync();
        } else {
            manager.store_changed().unwrap();
        }
        assert_eq!(changes.list(), ["aa"], "{by_sync}");
        changes.store.lock(|_| ()).unwrap().set_enabled(&id("notes"), true, None).unwrap();
        manager.sync();
        assert_eq!(changes.list(), ["aa", "notes"], "{by_sync}");
    }
}

#[test]
fn while_the_plugin_directory_cannot_be_read_no_installed_plugin_takes_the_place_of_one_of_it() {
    let changes = Changes::new(&[]);
    let manager = &changes.bench.manager;
    notes_in(&changes.bench.path("plugins").join("notes"));
    manager.sync();
    assert_eq!(changes.origin("notes"), Origin::Dev);
    fs::rename(changes.bench.path("plugins"), changes.bench.path("elsewhere")).unwrap();
    manager.sync();
    assert_eq!(changes.origin("notes"), Origin::Dev);
}

#[test]
fn a_store_that_cannot_be_read_stops_everything_installed_and_nothing_else() {
    let changes = Changes::new(&["aa"]);
    let manager = &changes.bench.manager;
    manager.sync();
    let plugins = changes.bench.path("home/plugins");
    fs::rename(&plugins, changes.bench.path("elsewhere")).unwrap();
    fs::write(&plugins, "").unwrap();
    assert!(manager.store_changed().is_err());
    assert_eq!(changes.list(), ["aa"]);
    manager.sync();
    assert_eq!(changes.list(), ["aa"]);
    let told = manager.problems();
    assert!(told.iter().any(|problem| problem.reason.contains("installed plugins are not started")), "{told:?}");
}

#[test]
fn the_same_plugin_installed_is_another_than_the_one_under_development() {
    let changes = Changes::new(&[]);
    let manager = &changes.bench.manager;
    let dev = changes.bench.path("plugins").join("notes");
    notes_in(&dev);
    manager.set_policies(
        Some(changes.bench.path("plugins")),
        Policies::from([(id("notes"), Policy { grants: vec!["filesystem".parse().unwrap()], ..Policy::default() })]),
    );
    manager.sync();
    assert_eq!(changes.origin("notes"), Origin::Dev);
    fs::remove_dir_all(dev).unwrap();
    manager.sync();
    assert_eq!(changes.origin("notes"), Origin::Installed);
}
