//! Plugins from an index, and indexes that are played back, held back and put together.

use midimon::home::Home;
use midimon::plugins::index::build::{Recipe, build};
use midimon::plugins::index::{RevokedKey, RevokedVersion};
use midimon::plugins::minisign::SecretKey;
use midimon::plugins::store::{Installed, Store};
use midimon::timestamp::Timestamp;
use midimon_tests::{Bed, Publisher};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const DAY: u64 = 86_400;

fn shown(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Runs a command that has to work; what it prints.
#[track_caller]
fn works(bed: &Bed, arguments: &[&str]) -> String {
    let output = bed.run(arguments);
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Runs a command that has to be refused; why.
#[track_caller]
fn refused(bed: &Bed, arguments: &[&str]) -> String {
    let output = bed.run(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).expect("UTF-8")
}

/// A publisher's plugin in somebody's index, which `bed` has added.
struct Market {
    bed: Bed,
    publisher: Publisher,
    secret: SecretKey,
    dir: PathBuf,
}

impl Market {
    /// The index `friends` with `asking` 1.0.0, number 1 of an hour ago.
    fn new() -> Self {
        let bed = Bed::new();
        let dir = bed.path("index");
        fs::create_dir(&dir).expect("a directory");
        let market = Self { bed, publisher: Publisher::new(), secret: SecretKey::generate().expect("a key"), dir };
        fs::write(market.dir.join("publisher.pub"), market.publisher.key().to_file_text("")).expect("a key's file");
        market.offer("1.0.0");
        market.build(3_600, &Self::recipe());
        works(&market.bed, &["index", "add", shown(&market.dir), "--key", &market.key()]);
        market
    }

    fn key(&self) -> String {
        self.secret.public().to_string()
    }

    fn recipe() -> Recipe {
        Recipe {
            name: "friends".parse().expect("a name"),
            days: 30,
            publishers: Vec::new(),
            serial: None,
            yank: Vec::new(),
            revoke_keys: Vec::new(),
            revoke_versions: Vec::new(),
        }
    }

    /// Puts a version of `asking` beside the index.
    fn offer(&self, version: &str) -> PathBuf {
        let package = self.publisher.package("asking", version, "");
        let to = self.dir.join(package.file_name().expect("a name"));
        fs::copy(&package, &to).expect("a copy");
        fs::copy(format!("{}.minisig", package.display()), format!("{}.minisig", to.display())).expect("a copy");
        to
    }

    /// Makes the next index, so many seconds ago.
    fn build(&self, ago: u64, recipe: &Recipe) {
        let now = Timestamp::from_unix_seconds(Timestamp::now().unix_seconds() - ago);
        build(&self.dir, &self.secret, recipe, now).expect("an index").write(&self.dir).expect("written");
    }

    fn files(&self) -> [Vec<u8>; 2] {
        ["index.json", "index.json.minisig"].map(|name| fs::read(self.dir.join(name)).expect("an index"))
    }

    fn put_back(&self, files: &[Vec<u8>; 2]) {
        for (name, bytes) in ["index.json", "index.json.minisig"].iter().zip(files) {
            fs::write(self.dir.join(name), bytes).expect("written");
        }
    }

    fn terms(&self) -> Vec<String> {
        self.publisher.terms()
    }

    fn with_terms(&self, arguments: &[&str]) -> Vec<String> {
        [arguments.iter().map(|text| (*text).to_owned()).collect(), self.terms()].concat()
    }

    #[track_caller]
    fn installs(&self, what: &str, version: &str) {
        let arguments = self.with_terms(&["plugin", "install", what]);
        works(&self.bed, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(self.version().as_deref(), Some(version));
    }

    /// Why installing is refused; nothing changes.
    #[track_caller]
    fn is_refused(&self, more: &[&str]) -> String {
        let before = self.record();
        let arguments = self.with_terms(&[&["plugin", "install"], more].concat());
        let told = refused(&self.bed, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(self.record(), before);
        told
    }

    fn record(&self) -> Option<Installed> {
        let home = Home::at(&self.bed.home()).expect("a home");
        Store::open(&home).get(&"asking".parse().expect("an id")).expect("a record")
    }

    fn version(&self) -> Option<String> {
        self.record().map(|record| record.current.to_string())
    }
}

#[test]
fn a_plugin_is_found_installed_and_updated_by_its_name() {
    let bed = Bed::new();
    let publisher = Publisher::new();
    let dir = bed.path("index");
    fs::create_dir(&dir).expect("a directory");
    let offer = |version: &str| {
        let package = publisher.package("asking", version, "");
        let name = package.file_name().expect("a name").to_str().expect("UTF-8").to_owned();
        fs::copy(&package, dir.join(&name)).expect("a copy");
        fs::copy(format!("{}.minisig", package.display()), dir.join(format!("{name}.minisig"))).expect("a copy");
    };
    let (index_key, publisher_key) = (bed.path("index-key"), publisher.key().to_string());
    works(&bed, &["key", "generate", "-o", shown(&index_key), "--no-password"]);
    let (secret, public) = (format!("{}.key", index_key.display()), format!("{}.pub", index_key.display()));
    let build = ["index", "build", shown(&dir), "--name", "friends", "--key", &secret, "--publisher", &publisher_key];
    offer("1.0.0");
    let told = works(&bed, &build);
    assert!(told.contains("friends, number 1") && told.contains("1 plugin, 1 version"), "{told}");
    works(&bed, &["index", "add", shown(&dir), "--key", &public]);
    assert!(works(&bed, &["index", "list"]).contains("friends"));
    assert!(works(&bed, &["index", "show", "friends"]).contains("fingerprint"));

    let found: Value = serde_json::from_str(&works(&bed, &["plugin", "search", "ask", "--json"])).expect("JSON");
    assert_eq!((&found[0]["id"], &found[0]["version"]), (&"asking".into(), &"1.0.0".into()), "{found}");
    assert!(works(&bed, &["plugin", "search", "nothing-like-it"]).contains("nothing found"));
    works(&bed, &["plugin", "install", "asking", "--yes", "--key", &publisher_key, "--key-name", "Ada"]);
    assert!(works(&bed, &["plugin", "search"]).contains("1.0.0, installed"));
    assert!(works(&bed, &["plugin", "update"]).contains("nothing in the indexes is newer"));

    for version in ["1.1.0", "2.0.0-rc.1"] {
        offer(version);
    }
    assert!(works(&bed, &build).contains("number 2"));
    assert!(works(&bed, &["plugin", "search"]).contains("1.1.0 (you have 1.0.0)"));
    assert!(works(&bed, &["plugin", "update", "--yes"]).contains("1.1.0"));
    assert!(works(&bed, &["plugin", "update", "asking", "--yes"]).contains("is the newest"));
    assert!(works(&bed, &["plugin", "update", "asking", "--pre", "--yes"]).contains("2.0.0-rc.1"));
    works(&bed, &["index", "remove", "friends"]);
    assert!(refused(&bed, &["plugin", "search"]).contains("midimon index add"));
}

#[test]
fn e091_an_index_that_is_played_back_is_refused_and_nothing_installed_from_it() {
    let market = Market::new();
    let old = market.files();
    market.offer("1.1.0");
    market.build(1_800, &Market::recipe());
    market.installs("asking@1.0.0", "1.0.0");
    market.put_back(&old);
    for arguments in [&["index", "update"][..], &["plugin", "search"], &["plugin", "update"]] {
        let told = refused(&market.bed, arguments);
        assert!(told.contains("serial number 1") && told.contains("played back"), "{told}");
    }
    assert!(market.is_refused(&["asking"]).contains("played back"));
    // the one after it is used
    market.build(900, &Recipe { serial: Some(3), ..Market::recipe() });
    market.installs("asking", "1.1.0");
}

#[test]
fn e091_other_content_under_a_number_that_was_seen_is_refused() {
    let market = Market::new();
    let first = market.files();
    for name in ["index.json", "index.json.minisig"] {
        fs::remove_file(market.dir.join(name)).expect("removed");
    }
    market.offer("1.1.0");
    market.build(1_800, &Market::recipe());
    let told = market.is_refused(&["asking"]);
    assert!(told.contains("serial number 1") && told.contains("other content"), "{told}");
    market.put_back(&first);
    market.installs("asking", "1.0.0");
}

#[test]
fn e091_an_index_that_is_held_back_is_refused_once_it_has_expired() {
    let market = Market::new();
    market.installs("asking", "1.0.0");
    let bed = Bed::new();
    let dir = bed.path("index");
    fs::create_dir(&dir).expect("a directory");
    let add = |days, ago| {
        let now = Timestamp::from_unix_seconds(Timestamp::now().unix_seconds() - ago);
        let recipe = Recipe { days, ..Market::recipe() };
        build(&dir, &market.secret, &recipe, now).expect("an index").write(&dir).expect("written");
        bed.run(&["index", "add", shown(&dir), "--key", &market.key()])
    };
    let late = add(1, DAY + 60);
    let told = String::from_utf8_lossy(&late.stderr).into_owned();
    assert!(!late.status.success() && told.contains("expired on") && told.contains("holds the new one back"), "{told}");
    assert!(works(&bed, &["index", "list"]).contains("no indexes"));
    let in_time = add(1, DAY - 600);
    assert!(in_time.status.success(), "{in_time:?}");
    // the same for one that was added long ago and whose next one comes too late
    market.offer("1.1.0");
    let stale = Timestamp::from_unix_seconds(Timestamp::now().unix_seconds() - 1_000);
    let future = Timestamp::from_unix_seconds(Timestamp::now().unix_seconds() + 2 * DAY);
    let next = build(&market.dir, &market.secret, &Market::recipe(), future).expect("an index");
    next.write(&market.dir).expect("written");
    assert!(market.is_refused(&["asking"]).contains("in the future by more than a day"));
    fs::remove_file(market.dir.join("index.json")).expect("removed");
    build(&market.dir, &market.secret, &Recipe { serial: Some(9), ..Market::recipe() }, stale)
        .expect("an index")
        .write(&market.dir)
        .expect("written");
    market.installs("asking", "1.1.0");
}

#[test]
fn e091_a_package_that_is_not_the_one_the_index_names_is_refused() {
    let market = Market::new();
    let newer = market.offer("1.1.0");
    market.build(1_800, &Market::recipe());
    // an older one of the same publisher in its place, with its genuine signature
    let (genuine, older) = (fs::read(&newer).expect("a package"), market.dir.join("asking-1.0.0.mmp"));
    fs::copy(&older, &newer).expect("put in its place");
    let told = market.is_refused(&["asking"]);
    assert!(told.contains("asking-1.1.0.mmp") && told.contains("not the package the index names"), "{told}");
    // a link out of the directory is not followed
    fs::remove_file(&newer).expect("removed");
    fs::write(market.bed.path("outside.mmp"), &genuine).expect("written");
    std::os::unix::fs::symlink(market.bed.path("outside.mmp"), &newer).expect("a link");
    assert!(market.is_refused(&["asking"]).contains("symbolic link"));
    fs::remove_file(&newer).expect("removed");
    fs::write(&newer, genuine).expect("written");
    market.installs("asking", "1.1.0");
}

#[test]
fn e091_an_index_cannot_take_a_plugin_back_to_an_older_version() {
    let market = Market::new();
    let newer = market.offer("1.1.0");
    market.build(1_800, &Market::recipe());
    market.installs("asking", "1.1.0");
    fs::remove_file(newer).expect("removed");
    market.build(900, &Market::recipe());
    let told = works(&market.bed, &["plugin", "update", "asking", "--yes"]);
    assert!(told.contains("is the newest"), "{told}");
    for what in ["asking", "asking@1.0.0"] {
        let told = market.is_refused(&[what]);
        assert!(told.contains("--allow-downgrade"), "{told}");
    }
}

#[test]
fn e091_only_the_key_that_was_pinned_makes_an_index() {
    let market = Market::new();
    let genuine = market.files();
    let stranger = Market { secret: SecretKey::generate().expect("a key"), ..Market::new() };
    fs::remove_file(stranger.dir.join("index.json")).expect("removed");
    stranger.build(60, &Recipe { serial: Some(50), ..Market::recipe() });
    market.put_back(&stranger.files());
    assert!(market.is_refused(&["asking"]).contains("somebody else's"));
    fs::remove_file(market.dir.join("index.json.minisig")).expect("removed");
    assert!(market.is_refused(&["asking"]).contains("nobody has signed this index"));
    let mut changed = genuine.clone();
    changed[0].push(b'\n');
    market.put_back(&changed);
    assert!(market.is_refused(&["asking"]).contains("the signature does not fit"));
    market.put_back(&genuine);
    market.installs("asking", "1.0.0");
}

#[test]
fn e091_what_an_index_revokes_stops_at_once_and_is_not_installed_again() {
    let market = Market::new();
    market.installs("asking", "1.0.0");
    let daemon = market.bed.start();
    daemon.wait_ready("asking");
    let revoked = RevokedVersion {
        id: "asking".parse().expect("an id"),
        version: "1.0.0".parse().expect("a version"),
        reason: "it sends what is typed".to_owned(),
    };
    market.build(1_800, &Recipe { revoke_versions: vec![revoked], ..Market::recipe() });
    let output = market.bed.run(&["index", "update"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && told.contains("asking 1.0.0 does not run"), "{output:?}");
    assert!(told.contains("it sends what is typed"), "{told}");
    // in effect when the command ends
    let status = daemon.status();
    assert!(status.workers.iter().all(|worker| worker.id.as_str() != "asking"), "{status:?}");
    assert!(status.problems.iter().any(|problem| problem.contains("was revoked by the index 'friends'")), "{status:?}");
    assert!(market.is_refused(&["asking"]).contains("was revoked by the index 'friends': it sends what is typed"));
    let file = market.dir.join("asking-1.0.0.mmp");
    assert!(market.is_refused(&[shown(&file)]).contains("was revoked by the index 'friends'"));
    let told = refused(&market.bed, &["plugin", "enable", "asking"]);
    assert!(told.contains("was revoked by the index 'friends'"), "{told}");
    // a version that is not revoked is installed
    market.offer("1.0.1");
    market.build(900, &Market::recipe());
    market.installs("asking", "1.0.1");
    daemon.wait_ready("asking");
    // nor is it gone back to
    let told = refused(&market.bed, &["plugin", "rollback", "asking"]);
    assert!(told.contains("was revoked by the index 'friends': it sends what is typed"), "{told}");
    assert_eq!(market.version().as_deref(), Some("1.0.1"));
    // without the index it is as before
    works(&market.bed, &["index", "remove", "friends"]);
    works(&market.bed, &["plugin", "rollback", "asking"]);
    daemon.wait_ready("asking");
    daemon.stop();
}

#[test]
fn e091_nothing_of_a_key_an_index_revokes_runs_until_the_index_is_removed() {
    let market = Market::new();
    market.installs("asking", "1.0.0");
    let revoked = RevokedKey { key: market.publisher.key(), reason: "it was stolen".to_owned() };
    market.build(1_800, &Recipe { revoke_keys: vec![revoked], ..Market::recipe() });
    let told = market.bed.run(&["index", "update"]);
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.contains("revoked the key of") && told.contains("asking 1.0.0 does not run"), "{told}");
    assert!(market.is_refused(&["asking"]).contains("was revoked by the index 'friends': it was stolen"));
    // it is the index's word, not the user's
    assert!(works(&market.bed, &["key", "list"]).contains("revoked by friends"));
    let daemon = market.bed.start();
    assert!(daemon.status().workers.is_empty(), "{:?}", daemon.status());
    works(&market.bed, &["index", "remove", "friends"]);
    daemon.wait_ready("asking");
    daemon.stop();
}

#[test]
fn two_indexes_with_one_id_are_told_apart_by_the_user() {
    let market = Market::new();
    let other = Market::new();
    works(&market.bed, &["index", "add", shown(&other.dir), "--key", &other.key(), "--name", "strangers"]);
    let told = market.is_refused(&["asking"]);
    assert!(told.contains("--index friends") && told.contains("--index strangers"), "{told}");
    // one that cannot be used does not give way to the other in silence
    fs::remove_file(other.dir.join("index.json")).expect("removed");
    let told = market.is_refused(&["asking"]);
    assert!(told.contains("'strangers'") && told.contains("--index friends"), "{told}");
    let output = market.bed.run(&["plugin", "search"]);
    assert!(output.status.success() && String::from_utf8_lossy(&output.stderr).contains("'strangers'"), "{output:?}");
    let arguments = market.with_terms(&["plugin", "install", "asking", "--index", "friends"]);
    works(&market.bed, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(market.version().as_deref(), Some("1.0.0"));
}
