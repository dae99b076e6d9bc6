//! Making an index, and that what was made is what is used.

use crate::plugins::index::build::{BuildError, Built, Recipe, build};
use crate::plugins::index::testing::{DAY, at, key, revoked_key, revoked_version, signature};
use crate::plugins::index::{DirectorySource, Mismatch, Source, accept::Known, accept::accept};
use crate::plugins::minisign::SecretKey;
use crate::plugins::package::pack;
use std::fs;
use std::path::Path;

struct Ground {
    dir: tempfile::TempDir,
    index_key: SecretKey,
    publisher: SecretKey,
}

impl Ground {
    /// `aa` 1.0.0, signed, and its publisher's key.
    fn new() -> Self {
        let ground = Self { dir: tempfile::tempdir().unwrap(), index_key: key(), publisher: key() };
        ground.package("aa", "1.0.0", "aa-1.0.0.mmp", &ground.publisher);
        fs::write(ground.path().join("publisher.pub"), ground.publisher.public().to_file_text("p")).unwrap();
        ground
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn package(&self, id: &str, version: &str, file: &str, secret: &SecretKey) {
        let dir = tempfile::tempdir().unwrap();
        let text = format!(
            "schema = 1\nid = \"{id}\"\nname = \"N\"\nversion = \"{version}\"\nkind = \"wasm\"\nentry = \"a.wasm\"\n"
        );
        fs::write(dir.path().join("plugin.toml"), text).unwrap();
        fs::write(dir.path().join("a.wasm"), b"\0asm\x01\0\0\0").unwrap();
        let bytes = pack(dir.path()).unwrap().bytes;
        fs::write(self.path().join(file), &bytes).unwrap();
        fs::write(self.path().join(format!("{file}.minisig")), signature(secret, &bytes).to_text()).unwrap();
    }

    fn recipe() -> Recipe {
        Recipe {
            name: "friends".parse().unwrap(),
            days: 30,
            publishers: Vec::new(),
            serial: None,
            yank: Vec::new(),
            revoke_keys: Vec::new(),
            revoke_versions: Vec::new(),
        }
    }

    fn build(&self, recipe: &Recipe) -> Result<Built, BuildError> {
        build(self.path(), &self.index_key, recipe, at(DAY))
    }

    fn refused(&self) -> String {
        self.build(&Self::recipe()).unwrap_err().to_string()
    }
}

#[test]
fn what_is_built_is_accepted_and_names_each_package() {
    let ground = Ground::new();
    ground.package("aa", "1.1.0", "newer.mmp", &ground.publisher);
    ground.build(&Ground::recipe()).unwrap().write(ground.path()).unwrap();
    let source = DirectorySource::new(ground.path());
    let key = ground.index_key.public();
    let known = Known { key: &key, name: None, last: None };
    let (index, _) = accept(&source.fetch_index().unwrap(), known, at(DAY + 1)).unwrap();
    assert_eq!((index.serial, index.plugins.len()), (1, 1));
    let releases = &index.plugins[0].versions;
    assert_eq!(releases.iter().map(|it| it.file.as_str()).collect::<Vec<_>>(), ["newer.mmp", "aa-1.0.0.mmp"]);
    for release in releases {
        assert!(release.targets.is_empty(), "WASM runs everywhere");
        let package = source.fetch_package(&release.file).unwrap();
        release.check_bytes(&package).unwrap();
        let contents = package.verify(&release.signature, &release.publisher).unwrap().read().unwrap();
        release.check_contents(&index.plugins[0].id, &contents).unwrap();
    }
    // e091: parts of two do not mix
    let (newer, older) = (&releases[0], &releases[1]);
    let package = source.fetch_package(&older.file).unwrap();
    assert!(matches!(newer.check_bytes(&package), Err(Mismatch::Digest { .. } | Mismatch::Size { .. })));
    let contents = package.verify(&older.signature, &older.publisher).unwrap().read().unwrap();
    let listed = &index.plugins[0].id;
    assert!(matches!(newer.check_contents(listed, &contents), Err(Mismatch::Version { .. })));
    assert!(matches!(older.check_contents(&"bb".parse().unwrap(), &contents), Err(Mismatch::Id { .. })));
    let mut other = older.clone();
    other.publisher = SecretKey::generate().unwrap().public();
    assert!(matches!(other.check_contents(listed, &contents), Err(Mismatch::Publisher { .. })));
}

#[test]
fn the_same_packages_give_the_same_index_but_for_its_number_and_time() {
    let ground = Ground::new();
    let first = ground.build(&Ground::recipe()).unwrap();
    assert_eq!(ground.build(&Ground::recipe()).unwrap().index.to_text(), first.index.to_text());
    first.write(ground.path()).unwrap();
    let second = ground.build(&Ground::recipe()).unwrap().index;
    assert_eq!(second.serial, 2);
    assert_eq!(second.to_text().replace("\"serial\": 2", "\"serial\": 1"), first.index.to_text());
}

#[test]
fn what_was_revoked_or_withdrawn_stays_so() {
    let ground = Ground::new();
    let gone = key().public();
    let recipe = Recipe {
        yank: vec![("aa".parse().unwrap(), "1.0.0".parse().unwrap())],
        revoke_keys: vec![revoked_key(gone), revoked_key(gone)],
        revoke_versions: vec![revoked_version("aa", "0.9.0"), revoked_version("aa", "0.9.0")],
        ..Ground::recipe()
    };
    ground.build(&recipe).unwrap().write(ground.path()).unwrap();
    let next = ground.build(&Ground::recipe()).unwrap().index;
    assert!(next.plugins[0].versions[0].yanked);
    assert_eq!((next.revoked_keys.len(), next.revoked_versions.len()), (1, 1));
    let nothing = Recipe { yank: vec![("aa".parse().unwrap(), "9.0.0".parse().unwrap())], ..Ground::recipe() };
    assert!(matches!(ground.build(&nothing), Err(BuildError::NothingToYank { .. })));
}

#[test]
fn what_is_not_signed_by_a_key_that_is_there_is_not_listed() {
    let ground = Ground::new();
    ground.build(&Ground::recipe()).unwrap();
    fs::remove_file(ground.path().join("publisher.pub")).unwrap();
    assert!(ground.refused().contains("put its .pub file beside it"));
    let given = Recipe { publishers: vec![ground.publisher.public()], ..Ground::recipe() };
    ground.build(&given).unwrap();
    let path = ground.path().join("aa-1.0.0.mmp");
    let mut bytes = fs::read(&path).unwrap();
    bytes[30] ^= 1;
    fs::write(&path, bytes).unwrap();
    let changed = ground.build(&given).unwrap_err().to_string();
    assert!(changed.contains("aa-1.0.0.mmp") && changed.contains("the signature does not fit"), "{changed}");
    fs::remove_file(ground.path().join("aa-1.0.0.mmp.minisig")).unwrap();
    assert!(matches!(ground.build(&given), Err(BuildError::Unsigned { .. })));
}

#[test]
fn two_of_one_version_two_publishers_and_changed_content_are_refused() {
    let ground = Ground::new();
    ground.package("aa", "1.0.0+again", "again.mmp", &ground.publisher);
    assert!(ground.refused().contains("are both aa 1.0.0"));
    fs::remove_file(ground.path().join("again.mmp")).unwrap();
    let other = key();
    ground.package("aa", "2.0.0", "other.mmp", &other);
    fs::write(ground.path().join("other.pub"), other.public().to_file_text("o")).unwrap();
    assert!(ground.refused().contains("signed with different keys"));
    fs::remove_file(ground.path().join("other.mmp")).unwrap();
    ground.package("a-b", "1.0.0", "ab.mmp", &other);
    ground.package("a_b", "1.0.0", "ab2.mmp", &other);
    assert!(ground.refused().contains("looks like it"));
    fs::remove_file(ground.path().join("ab2.mmp")).unwrap();
    ground.build(&Ground::recipe()).unwrap().write(ground.path()).unwrap();
    ground.package("aa", "1.0.0+changed", "aa-1.0.0.mmp", &ground.publisher);
    assert!(ground.refused().contains("a version's content never changes"));
}

#[test]
fn only_ones_own_index_is_continued() {
    let ground = Ground::new();
    ground.build(&Ground::recipe()).unwrap().write(ground.path()).unwrap();
    let other_name = Recipe { name: "strangers".parse().unwrap(), ..Ground::recipe() };
    assert!(matches!(ground.build(&other_name), Err(BuildError::Previous(_))));
    let stranger = Ground { index_key: key(), ..ground };
    assert!(stranger.refused().contains("cannot be continued"));
    let low = Recipe { serial: Some(1), ..Ground::recipe() };
    fs::remove_file(stranger.path().join("index.json")).unwrap();
    assert_eq!(stranger.build(&low).unwrap().index.serial, 1);
    stranger.build(&Recipe { serial: Some(40), ..low.clone() }).unwrap().write(stranger.path()).unwrap();
    assert!(matches!(stranger.build(&low), Err(BuildError::Serial { last: 40 })));
    assert_eq!(stranger.build(&Ground::recipe()).unwrap().index.serial, 41);
    for days in [0, 91] {
        assert!(matches!(stranger.build(&Recipe { days, ..Ground::recipe() }), Err(BuildError::Days)));
    }
}
