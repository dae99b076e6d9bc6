//! What the store does and refuses.

mod revoked;
mod steps;

use super::commit::Commit;
use super::remove::Removal;
use super::*;
use crate::plugins::manifest::{FileEntry, Manifest};
use crate::plugins::minisign::{PublicKey, SecretKey};
use crate::plugins::{Grants, SealedCode};
use semver::Version;
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

/// A store in a home of its own.
struct Bench {
    directory: tempfile::TempDir,
    store: Store,
}

/// What a package holds.
struct Package {
    manifest: Manifest,
    text: String,
    entry: FileEntry,
    code: SealedCode,
    publisher: Option<PublicKey>,
}

const CODE: &[u8] = b"\0asm\x01\0\0\0";

fn id(id: &str) -> PluginId {
    id.parse().unwrap()
}

fn package(name: &str, version: &str, asks: &str) -> Package {
    let code = [CODE, version.as_bytes()].concat();
    let digest: [u8; 32] = Sha256::digest(&code).into();
    let entry = FileEntry { name: "guest.wasm".into(), sha256: digest, size: code.len() as u64 };
    let text = format!(
        "schema = 1\nid = \"{name}\"\nname = \"N\"\nversion = \"{version}\"\nkind = \"wasm\"\nentry = \"guest.wasm\"\n{asks}"
    );
    let manifest = Manifest::parse(&text).unwrap();
    let code = SealedCode::copy(&mut code.as_slice(), 1000).unwrap();
    Package { manifest, text, entry, code, publisher: None }
}

impl Package {
    fn incoming(&self) -> Incoming<'_> {
        Incoming {
            manifest: &self.manifest,
            manifest_bytes: self.text.as_bytes(),
            files: vec![(&self.entry, &self.code)],
            publisher: self.publisher,
            package_sha256: Sha256::digest(self.text.as_bytes()).into(),
        }
    }

    /// Everything it asks for.
    fn granted(&self) -> GrantFile {
        let asked: Grants = self.manifest.capabilities.iter().map(|request| request.capability.clone()).collect();
        GrantFile {
            plugin: self.manifest.id.clone(),
            publisher: self.publisher,
            asked: asked.clone(),
            granted: asked,
            answers: Vec::new(),
        }
    }

    fn signed(self, key: &SecretKey) -> Self {
        Self { publisher: Some(key.public()), ..self }
    }
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(&directory.path().join("home")).unwrap();
        home.prepare().unwrap();
        Self { store: Store::open(&home), directory }
    }

    fn home(&self) -> &Home {
        &self.store.home
    }

    fn lock(&self) -> Locked {
        self.store.lock(|_| ()).unwrap()
    }

    fn install(&self, package: &Package) -> Result<Installed, StoreError> {
        let locked = self.lock();
        let staged = locked.stage(&package.incoming())?;
        locked.commit(staged, package.granted(), false)
    }

    fn record(&self, name: &str) -> Option<Installed> {
        self.store.get(&id(name)).unwrap()
    }

    /// The version that would be started, all its files checked and its consent found.
    fn runs(&self, name: &str) -> Option<String> {
        let record = self.record(name)?;
        let files = self.store.current_files(&record).unwrap();
        let manifest = files.manifest().unwrap();
        files.code(&manifest).unwrap();
        let grants = self.store.grants(&id(name)).unwrap().unwrap();
        grants.effective(&manifest, record.publisher.as_ref()).unwrap();
        Some(manifest.version.to_string())
    }

    /// Everything in the home but the data directories' contents, sorted.
    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut pending = vec![self.directory.path().join("home")];
        while let Some(dir) = pending.pop() {
            for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
                let path = entry.path();
                names.push(path.strip_prefix(self.directory.path().join("home")).unwrap().to_str().unwrap().to_owned());
                if entry.file_type().unwrap().is_dir() {
                    pending.push(path);
                }
            }
        }
        names.sort();
        names
    }

    fn data(&self, name: &str) -> PathBuf {
        let data = self.home().plugin_data_dir().join(name);
        fs::create_dir_all(&data).unwrap();
        fs::set_permissions(&data, fs::Permissions::from_mode(0o700)).unwrap();
        data
    }
}

const FILES: &str = "[[capabilities]]\ncapability = \"filesystem\"\nreason = \"r\"\n";
const KEYS: &str = "[[capabilities]]\ncapability = \"input\"\nreason = \"r\"\n";

#[test]
fn an_installed_version_has_its_bytes_for_us_alone() {
    let bench = Bench::new();
    let package = package("notes", "1.0.0", FILES);
    let record = bench.install(&package).unwrap();
    assert!(record.enabled && record.unsigned);
    assert_eq!(bench.record("notes"), Some(record));
    assert_eq!(bench.runs("notes"), Some("1.0.0".into()));
    let dir = bench.store.path(&id("notes")).join("1.0.0");
    assert_eq!(fs::read_to_string(dir.join("plugin.toml")).unwrap(), package.text);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&dir), mode(&dir.join("guest.wasm")), mode(&dir.join("plugin.toml"))), (0o700, 0o600, 0o600));
    assert_eq!(mode(&bench.store.path(&id("notes")).join("installed.toml")), 0o600);
    assert_eq!(mode(&bench.store.grants_path(&id("notes"))), 0o600);
}

#[test]
fn e090_the_highest_version_is_kept_and_an_older_one_refused_also_after_a_rollback_and_a_removal() {
    let bench = Bench::new();
    let key = SecretKey::generate().unwrap();
    let signed = |version| package("notes", version, "").signed(&key);
    bench.install(&signed("1.0.0")).unwrap();
    bench.install(&signed("2.0.0")).unwrap();
    let refused = |version| match bench.install(&signed(version)).unwrap_err() {
        StoreError::Refused(refused @ Refused::Downgrade { .. }) => refused.to_string(),
        other => panic!("{other}"),
    };
    assert!(refused("1.5.0").contains("--allow-downgrade"));
    let back = bench.lock().rollback(&id("notes")).unwrap();
    assert_eq!((back.current, back.highest), (Version::new(1, 0, 0), Version::new(2, 0, 0)));
    assert!(refused("1.5.0").contains("2.0.0"));
    bench.lock().remove(&id("notes"), true).unwrap();
    assert!(refused("1.5.0").contains("2.0.0"));
    // said aloud it is done, and the highest stays
    let locked = bench.lock();
    let staged = locked.stage(&signed("1.5.0").incoming()).unwrap();
    let record = locked.commit(staged, signed("1.5.0").granted(), true).unwrap();
    drop(locked);
    assert_eq!((record.current, record.highest), (Version::new(1, 5, 0), Version::new(2, 0, 0)));
    assert!(refused("1.6.0").contains("2.0.0"));
    bench.install(&signed("2.0.1")).unwrap();
    assert_eq!(bench.runs("notes"), Some("2.0.1".into()));
}

#[test]
fn only_the_key_it_was_installed_with_updates_a_plugin_and_inherits_its_data() {
    let bench = Bench::new();
    let (one, two) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
    bench.install(&package("notes", "1.0.0", "").signed(&one)).unwrap();
    let refused = |package: Package| match bench.install(&package).unwrap_err() {
        StoreError::Refused(refused) => refused,
        other => panic!("{other}"),
    };
    for stranger in [package("notes", "1.1.0", "").signed(&two), package("notes", "1.1.0", "")] {
        let told = refused(stranger);
        assert!(
            matches!(told, Refused::OtherPublisher { .. }) && told.to_string().contains("midimon plugin remove notes"),
            "{told}"
        );
    }
    bench.lock().remove(&id("notes"), true).unwrap();
    for stranger in [package("notes", "1.1.0", "").signed(&two), package("notes", "1.1.0", "")] {
        assert!(matches!(refused(stranger), Refused::OthersData { .. }));
    }
    bench.install(&package("notes", "1.1.0", "").signed(&one)).unwrap();
    assert_eq!(bench.store.kept(&id("notes")).unwrap(), None);
    // removed with its data, nothing is left to inherit
    bench.lock().remove(&id("notes"), false).unwrap();
    bench.install(&package("notes", "0.1.0", "").signed(&two)).unwrap();
}

#[test]
fn kept_data_can_be_removed_later() {
    let bench = Bench::new();
    bench.install(&package("notes", "1.0.0", "")).unwrap();
    fs::write(bench.data("notes").join("notes.txt"), "mine").unwrap();
    bench.lock().remove(&id("notes"), true).unwrap();
    assert!(matches!(bench.lock().remove(&id("notes"), true), Err(StoreError::NotInstalled(_))));
    bench.lock().remove(&id("notes"), false).unwrap();
    assert!(!bench.home().plugin_data_dir().join("notes").exists());
    assert!(matches!(bench.lock().remove(&id("notes"), false), Err(StoreError::NotInstalled(_))));
}

#[test]
fn a_damaged_note_about_kept_data_keeps_it_from_everybody_and_is_removed_with_it() {
    let bench = Bench::new();
    let note = bench.home().state_dir().join("kept-notes.toml");
    let damages: [fn(&Path); 3] = [
        |note| fs::write(note, "schema = 1\nbroken").unwrap(),
        |note| fs::create_dir_all(note.join("below")).unwrap(),
        |note| symlink("/nowhere", note).unwrap(),
    ];
    for damage in damages {
        bench.install(&package("notes", "1.0.0", FILES)).unwrap();
        fs::write(bench.data("notes").join("list"), "mine").unwrap();
        bench.lock().remove(&id("notes"), true).unwrap();
        fs::remove_file(&note).unwrap();
        damage(&note);
        drop(bench.lock());
        let told = bench.install(&package("notes", "1.0.0", FILES)).unwrap_err().to_string();
        assert!(told.contains("kept-notes.toml") && told.contains("midimon plugin remove notes"), "{told}");
        assert!(bench.lock().remove(&id("notes"), true).is_err(), "nothing can be kept of it");
        bench.lock().remove(&id("notes"), false).unwrap();
        assert!(note.symlink_metadata().is_err() && !bench.home().plugin_data_dir().join("notes").exists());
        // and beside a plugin that is installed it is nothing
        bench.install(&package("notes", "1.0.0", FILES)).unwrap();
        damage(&note);
        bench.install(&package("notes", "1.1.0", FILES)).unwrap();
        assert!(note.symlink_metadata().is_err());
        bench.lock().remove(&id("notes"), false).unwrap();
    }
}

#[test]
fn a_version_with_other_bytes_than_before_is_refused_also_when_its_files_are_long_gone() {
    let bench = Bench::new();
    for version in ["1.0.0", "1.1.0", "1.2.0", "1.3.0"] {
        bench.install(&package("notes", version, "")).unwrap();
    }
    for version in ["1.3.0", "1.0.0"] {
        let other = package("notes", version, FILES);
        assert!(matches!(bench.install(&other), Err(StoreError::Refused(Refused::OtherBytes { .. }))), "{version}");
    }
    assert_eq!(bench.runs("notes"), Some("1.3.0".into()));
}

#[test]
fn e097_a_second_plugin_of_the_same_id_or_one_like_it_is_refused() {
    let bench = Bench::new();
    bench.install(&package("my-plugin", "1.0.0", "")).unwrap();
    let refused = bench.install(&package("my_plugin", "1.0.0", "")).unwrap_err().to_string();
    assert!(refused.contains("'my-plugin'") && refused.contains("remove that one"), "{refused}");
    bench.install(&package("my-plugin2", "1.0.0", "")).unwrap();
}

#[test]
fn e099_data_that_was_there_before_the_plugin_is_not_handed_to_it() {
    let bench = Bench::new();
    bench.data("empty");
    bench.install(&package("empty", "1.0.0", "")).unwrap();
    fs::write(bench.data("full").join("planted"), "x").unwrap();
    let refused = bench.install(&package("full", "1.0.0", "")).unwrap_err();
    assert!(matches!(refused, StoreError::Refused(Refused::ForeignData { .. })), "{refused}");
    let elsewhere = bench.directory.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, bench.home().plugin_data_dir().join("linked")).unwrap();
    let refused = bench.install(&package("linked", "1.0.0", "")).unwrap_err().to_string();
    assert!(refused.contains("symbolic link"), "{refused}");
    assert_eq!((bench.record("full"), bench.record("linked")), (None, None));
}

#[test]
fn e100_a_removal_meets_planted_links_and_deletes_nothing_outside() {
    let bench = Bench::new();
    let outside = bench.directory.path().join("precious");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "keep").unwrap();
    bench.install(&package("notes", "1.0.0", "")).unwrap();
    bench.install(&package("notes", "1.1.0", "")).unwrap();
    let dir = bench.store.path(&id("notes"));
    symlink(&outside, dir.join("1.0.0/deep")).unwrap();
    symlink(outside.join("file"), dir.join("1.1.0/file")).unwrap();
    fs::remove_dir_all(dir.join("1.0.0")).unwrap();
    symlink(&outside, dir.join("1.0.0")).unwrap();
    symlink(&outside, bench.data("notes").join("way")).unwrap();
    symlink(outside.join("file"), bench.home().settings_dir().join("notes.json")).unwrap();
    bench.lock().remove(&id("notes"), false).unwrap();
    assert!(!dir.exists() && !bench.home().plugin_data_dir().join("notes").exists());
    assert!(!bench.home().settings_dir().join("notes.json").is_symlink());
    assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "keep");
    // a data directory that is a link itself, and versions that are
    bench.install(&package("notes", "1.0.0", "")).unwrap();
    fs::remove_dir_all(bench.home().plugin_data_dir().join("notes")).ok();
    symlink(&outside, bench.home().plugin_data_dir().join("notes")).unwrap();
    symlink(&outside, dir.join("9.9.9")).unwrap();
    bench.lock().remove(&id("notes"), false).unwrap();
    assert!(!bench.home().plugin_data_dir().join("notes").is_symlink());
    assert_eq!(fs::read_to_string(outside.join("file")).unwrap(), "keep");
    // the plugin's directory
    symlink(&outside, &dir).unwrap();
    assert!(bench.store.get(&id("notes")).is_err());
    bench.lock().remove(&id("notes"), false).unwrap();
    assert!(!dir.is_symlink());
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

#[test]
fn a_plugin_under_development_kept_in_the_same_directory_is_left_alone() {
    let bench = Bench::new();
    let dir = bench.home().plugins_dir().join("mine");
    fs::create_dir_all(dir.join("1.0.0")).unwrap();
    fs::write(dir.join("plugin.toml"), "mine").unwrap();
    fs::write(bench.home().plugins_dir().join("libpads.so"), "mine").unwrap();
    drop(bench.lock());
    assert!(dir.join("1.0.0").is_dir() && dir.join("plugin.toml").is_file());
    assert!(bench.store.list().unwrap().is_empty());
    assert!(matches!(bench.lock().remove(&id("mine"), false), Err(StoreError::NotInstalled(_))));
}

#[test]
fn e092_a_file_changed_after_the_installation_is_told_and_put_back_by_installing_again() {
    let bench = Bench::new();
    let package = package("notes", "1.0.0", FILES);
    bench.install(&package).unwrap();
    let dir = bench.store.path(&id("notes")).join("1.0.0");
    type Spoil = fn(&std::path::Path);
    let spoil: [(&str, Spoil); 6] = [
        ("guest.wasm", |file| fs::write(file, [CODE, b"1.0.1"].concat()).unwrap()),
        ("guest.wasm", |file| fs::write(file, [CODE, b"1.0.0 and more"].concat()).unwrap()),
        ("guest.wasm", |file| fs::remove_file(file).unwrap()),
        ("guest.wasm", |file| {
            fs::rename(file, file.with_extension("other")).unwrap();
            symlink(file.with_extension("other"), file).unwrap();
        }),
        ("plugin.toml", |file| fs::write(file, fs::read_to_string(file).unwrap() + "# x\n").unwrap()),
        ("plugin.toml", |file| fs::write(file, vec![b'#'; 300 * 1024]).unwrap()),
    ];
    for (name, spoil) in spoil {
        spoil(&dir.join(name));
        let record = bench.record("notes").unwrap();
        let files = bench.store.current_files(&record).unwrap();
        let told = files.manifest().and_then(|manifest| files.code(&manifest)).unwrap_err().to_string();
        assert!(told.contains("was changed after it was installed") && told.contains(name), "{told}");
        assert!(files.check().is_err());
        bench.install(&package).unwrap();
        assert_eq!(bench.runs("notes"), Some("1.0.0".into()), "{name}");
    }
}

#[test]
fn a_rollback_checks_the_version_it_goes_to() {
    let bench = Bench::new();
    bench.install(&package("notes", "1.0.0", FILES)).unwrap();
    assert!(matches!(bench.lock().rollback(&id("notes")), Err(StoreError::NoPrevious(_))));
    bench.install(&package("notes", "1.1.0", KEYS)).unwrap();
    bench.lock().rollback(&id("notes")).unwrap();
    // with what it was granted before
    assert_eq!(bench.runs("notes"), Some("1.0.0".into()));
    bench.lock().rollback(&id("notes")).unwrap();
    assert_eq!(bench.runs("notes"), Some("1.1.0".into()));
    fs::write(bench.store.path(&id("notes")).join("1.0.0/guest.wasm"), "x").unwrap();
    assert!(matches!(bench.lock().rollback(&id("notes")), Err(StoreError::Version(_))));
    assert_eq!(bench.runs("notes"), Some("1.1.0".into()));
}

#[test]
fn a_damaged_record_hides_no_other_plugin_and_can_be_removed() {
    let bench = Bench::new();
    bench.install(&package("aa", "1.0.0", "")).unwrap();
    bench.install(&package("bb", "1.0.0", "")).unwrap();
    fs::copy(bench.store.path(&id("bb")).join("installed.toml"), bench.store.path(&id("aa")).join("installed.toml"))
        .unwrap();
    let list = bench.store.list().unwrap();
    let told = list[0].as_ref().unwrap_err().to_string();
    assert!(told.contains("is the record of 'bb'") && told.contains("midimon plugin remove aa"), "{told}");
    assert_eq!(list[1].as_ref().unwrap().id, id("bb"));
    // nothing of it is taken for a stray
    drop(bench.lock());
    assert!(bench.store.path(&id("aa")).join("1.0.0/guest.wasm").is_file());
    assert!(bench.lock().remove(&id("aa"), true).is_err());
    bench.lock().remove(&id("aa"), false).unwrap();
    assert!(!bench.store.path(&id("aa")).exists());
}

#[test]
fn a_revoked_publishers_plugins_are_disabled_with_the_reason_and_the_others_are_not() {
    let bench = Bench::new();
    let (one, two) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
    for (name, key) in [("aa", &one), ("bb", &one), ("cc", &two)] {
        bench.install(&package(name, "1.0.0", "").signed(key)).unwrap();
    }
    let disabled = bench.lock().disable_publisher(&one.public(), "its key was revoked").unwrap();
    assert_eq!(disabled, [id("aa"), id("bb")]);
    let states: Vec<(bool, Option<String>)> = bench
        .store
        .list()
        .unwrap()
        .into_iter()
        .map(|record| record.unwrap())
        .map(|record| (record.enabled, record.disabled_reason))
        .collect();
    let off = (false, Some("its key was revoked".to_owned()));
    assert_eq!(states, [off.clone(), off, (true, None)]);
    // an update does not enable it
    bench.install(&package("aa", "1.1.0", "").signed(&one)).unwrap();
    assert!(!bench.record("aa").unwrap().enabled);
}

#[test]
fn two_changes_do_not_meet() {
    let bench = Bench::new();
    let held = bench.lock();
    assert!(bench.store.try_lock().unwrap().is_none());
    std::thread::scope(|scope| {
        let (told, tells) = std::sync::mpsc::channel();
        let store = &bench.store;
        let second = scope.spawn(move || store.lock(|pid| told.send(pid).unwrap()).map(drop));
        assert_eq!(tells.recv().unwrap(), i32::try_from(std::process::id()).ok());
        assert!(!second.is_finished());
        drop(held);
        second.join().unwrap().unwrap();
    });
    assert!(bench.store.try_lock().unwrap().is_some());
}
