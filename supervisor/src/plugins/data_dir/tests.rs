use super::*;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

fn dirs() -> (tempfile::TempDir, DataDirs) {
    let home = tempfile::tempdir().unwrap();
    let dirs = DataDirs::open(&home.path().join("plugin-data")).unwrap();
    (home, dirs)
}

fn id(text: &str) -> PluginId {
    text.parse().unwrap()
}

#[test]
fn a_data_directory_is_made_once_for_its_owner_alone() {
    let (_home, dirs) = dirs();
    let (_, path) = dirs.ensure(&id("notes")).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
    fs::write(path.join("kept"), "x").unwrap();
    assert_eq!(dirs.ensure(&id("notes")).unwrap().1, path);
    assert!(path.join("kept").exists());
}

#[test]
fn planted_directories_are_refused_with_the_fix() {
    let (home, dirs) = dirs();
    let root = home.path().join("plugin-data");
    fs::create_dir(root.join("open")).unwrap();
    fs::set_permissions(root.join("open"), Permissions::from_mode(0o755)).unwrap();
    let message = dirs.ensure(&id("open")).unwrap_err().to_string();
    assert!(message.contains("mode 755") && message.contains("chmod 700"), "{message}");

    symlink(home.path(), root.join("link")).unwrap();
    assert!(matches!(dirs.ensure(&id("link")), Err(DataDirError::NotDirectory { .. })));
    assert!(matches!(dirs.usage(&id("link")), Err(DataDirError::NotDirectory { .. })));
    fs::write(root.join("file"), "x").unwrap();
    assert!(matches!(dirs.ensure(&id("file")), Err(DataDirError::NotDirectory { .. })));
}

#[test]
fn another_owners_directory_is_refused() {
    let (home, dirs) = dirs();
    let path = home.path().join("plugin-data/theirs");
    if geteuid().is_root() {
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
        assert!(matches!(dirs.ensure(&id("theirs")), Err(DataDirError::Owner { .. })));
    } else {
        // only root can give a directory away, but it owns one everybody knows
        let root = crate::plugins::files::open_dir(Path::new("/")).unwrap();
        assert!(matches!(check(root, Path::new("/"), 0), Err(DataDirError::Owner { .. })));
    }
}

#[test]
fn usage_counts_everything_and_follows_and_opens_nothing_else() {
    let (home, dirs) = dirs();
    assert_eq!(dirs.usage(&id("notes")).unwrap(), Usage { complete: true, ..Usage::default() });
    let (_, path) = dirs.ensure(&id("notes")).unwrap();
    fs::write(home.path().join("outside"), vec![0; 5000]).unwrap();
    fs::create_dir_all(path.join("a/b")).unwrap();
    fs::write(path.join("a/b/c"), "123").unwrap();
    fs::write(path.join("d"), "45").unwrap();
    symlink(home.path(), path.join("link-to-dir")).unwrap();
    symlink(home.path().join("outside"), path.join("link-to-file")).unwrap();
    nix::unistd::mkfifo(&path.join("fifo"), Mode::S_IRWXU).unwrap();
    assert_eq!(dirs.usage(&id("notes")).unwrap(), Usage { bytes: 5, files: 7, largest: 3, complete: true });
}

#[test]
fn a_scan_ends_however_deep_the_tree_is() {
    let (_home, dirs) = dirs();
    let (mut dir, _) = dirs.ensure(&id("deep")).unwrap();
    for _ in 0..200 {
        mkdirat(&dir, "d", Mode::S_IRWXU).unwrap();
        dir = openat(&dir, "d", DIR_FLAGS, Mode::empty()).unwrap();
    }
    let usage = dirs.usage(&id("deep")).unwrap();
    assert!(!usage.complete && usage.files as usize == scan::MAX_DEPTH);
}

#[test]
fn the_largest_files_are_named_by_where_they_are() {
    let (_home, dirs) = dirs();
    let (_, path) = dirs.ensure(&id("notes")).unwrap();
    fs::create_dir_all(path.join("a/b")).unwrap();
    fs::write(path.join("a/b/big"), vec![0; 300]).unwrap();
    fs::write(path.join("small"), "1").unwrap();
    fs::write(path.join("middle"), "12").unwrap();
    let found = |path: &str, bytes| BigFile { bytes, path: path.into() };
    assert_eq!(dirs.biggest(&id("notes"), 2).unwrap(), [found("a/b/big", 300), found("middle", 2)]);
}

#[test]
fn clearing_deletes_everything_inside_and_nothing_outside() {
    let (home, dirs) = dirs();
    let (_, path) = dirs.ensure(&id("notes")).unwrap();
    let outside = home.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("keep"), "x").unwrap();
    fs::create_dir_all(path.join("a/b")).unwrap();
    fs::write(path.join("a/b/c"), "123").unwrap();
    symlink(&outside, path.join("link-to-dir")).unwrap();
    symlink(outside.join("keep"), path.join("a/link-to-file")).unwrap();
    nix::unistd::mkfifo(&path.join("fifo"), Mode::S_IRWXU).unwrap();
    fs::create_dir(path.join("closed")).unwrap();
    fs::write(path.join("closed/d"), "45").unwrap();
    fs::set_permissions(path.join("closed"), Permissions::from_mode(0o000)).unwrap();
    assert_eq!(dirs.clear(&id("notes")).unwrap(), Cleared { bytes: 5, files: 8, left: None });
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    assert!(outside.join("keep").exists());
    assert_eq!(dirs.clear(&id("none")).unwrap(), Cleared::default());
}

#[test]
fn a_tree_deeper_than_descriptors_reach_is_cleared_too() {
    let (_home, dirs) = dirs();
    let (mut dir, path) = dirs.ensure(&id("deep")).unwrap();
    for _ in 0..300 {
        mkdirat(&dir, "d", Mode::S_IRWXU).unwrap();
        dir = openat(&dir, "d", DIR_FLAGS, Mode::empty()).unwrap();
    }
    let cleared = dirs.clear(&id("deep")).unwrap();
    assert_eq!((cleared.files, cleared.left), (300, None));
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
}
