use super::*;
use nix::time::{ClockId, clock_gettime};
use std::fs;
use std::time::Duration;

fn tree(files: u64) -> (tempfile::TempDir, DataTree) {
    let dir = tempfile::tempdir().unwrap();
    let (tree, _) = DataTree::open(dir.path(), Allowed { bytes: 1 << 26, files }).unwrap();
    (dir, tree)
}

/// Looks until nothing is left. Gives what was told.
fn settle(tree: &mut DataTree) -> Vec<(FileChange, String, u64)> {
    let mut changes = Vec::new();
    for _ in 0..1000 {
        let look = tree.look().unwrap();
        changes.extend(look.changes);
        if !look.active {
            return changes;
        }
    }
    panic!("it never comes to rest");
}

#[test]
fn a_directory_renamed_to_and_fro_does_not_hold_the_thread() {
    let (dir, mut tree) = tree(4096);
    let (one, other) = (dir.path().join("one"), dir.path().join("other"));
    fs::create_dir(&one).unwrap();
    for number in 0..2000 {
        fs::write(one.join(number.to_string()), "").unwrap();
    }
    settle(&mut tree);
    for _ in 0..2000 {
        fs::rename(&one, &other).unwrap();
        fs::rename(&other, &one).unwrap();
    }
    // of this thread's own: what a busy machine adds is not its work
    let worked = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap());
    let before = worked();
    tree.look().unwrap();
    // the events and one walk, each as long as a look may take, and each to the end of its last piece
    let took = worked() - before;
    assert!(took < 10 * LOOK_TIME, "{took:?}");
    settle(&mut tree);
    fs::write(one.join("last"), "12345").unwrap();
    assert!(settle(&mut tree).contains(&(FileChange::Written, "one/last".to_owned(), 5)));
}

#[test]
fn a_renamed_directory_and_what_lies_in_it_are_told_by_their_new_names() {
    let (dir, mut tree) = tree(100);
    fs::create_dir_all(dir.path().join("a/deep")).unwrap();
    settle(&mut tree);
    fs::rename(dir.path().join("a"), dir.path().join("b")).unwrap();
    fs::write(dir.path().join("b/deep/file"), "abc").unwrap();
    let told = settle(&mut tree);
    assert!(told.iter().any(|(what, path, _)| *what == FileChange::Renamed && path == "a -> b"), "{told:?}");
    assert!(told.contains(&(FileChange::Written, "b/deep/file".to_owned(), 3)), "{told:?}");
}

#[test]
fn what_was_made_in_a_directory_before_it_was_watched_is_told() {
    let (dir, mut tree) = tree(100);
    fs::create_dir_all(dir.path().join("a/b")).unwrap();
    fs::write(dir.path().join("a/b/file"), "abc").unwrap();
    let told = settle(&mut tree);
    assert!(told.contains(&(FileChange::Created, "a/b/file".to_owned(), 3)), "{told:?}");
}

#[test]
fn an_overflow_leaves_nothing_behind_and_watching_goes_on() {
    let (dir, mut tree) = tree(4096);
    let most: usize = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    for round in 0..2 {
        // made by now, and gone without a word once the queue is full
        for number in 0..50 {
            fs::create_dir(dir.path().join(format!("{round}-{number}"))).unwrap();
        }
        settle(&mut tree);
        assert_eq!(tree.dirs.len(), 51);
        for number in 0..most {
            // two names in turn: the same event twice becomes one
            fs::write(dir.path().join((number % 2).to_string()), "").unwrap();
        }
        for number in 0..50 {
            fs::remove_dir(dir.path().join(format!("{round}-{number}"))).unwrap();
        }
        let mut missed = 0;
        for _ in 0..1000 {
            let look = tree.look().unwrap();
            missed += look.missed;
            if !look.active {
                break;
            }
        }
        assert!(missed > 0);
        assert_eq!(tree.dirs.len(), 1, "only the root is left");
    }
    fs::write(dir.path().join("after"), "x").unwrap();
    assert!(settle(&mut tree).contains(&(FileChange::Written, "after".to_owned(), 1)));
}

#[test]
fn no_more_directories_are_watched_than_is_allowed_and_the_others_keep_it_counted() {
    let (dir, mut tree) = tree(4096);
    for number in 0..WATCHED_DIRS + 50 {
        fs::create_dir(dir.path().join(number.to_string())).unwrap();
    }
    for _ in 0..20 {
        assert!(tree.look().unwrap().active);
    }
    assert_eq!(tree.dirs.len(), WATCHED_DIRS);
    assert!(tree.is_unwatched());
    for number in 0..100 {
        fs::remove_dir(dir.path().join(number.to_string())).unwrap();
    }
    settle(&mut tree);
    assert!(!tree.is_unwatched());
    assert_eq!(tree.dirs.len(), WATCHED_DIRS - 49, "all that are left, and the root");
}

#[test]
fn a_name_in_use_again_is_no_deleted_file_and_the_oldest_are_forgotten() {
    let (dir, tree) = tree(10);
    let wd = *tree.dirs.keys().next().unwrap();
    let key = |number: usize| (wd, OsString::from(number.to_string()));
    drop(dir);
    let mut deleted = Deleted::default();
    deleted.insert(key(0));
    deleted.remove(&key(0));
    assert!(!deleted.contains(&key(0)));
    deleted.insert(key(0));
    for number in 1..DELETED {
        deleted.insert(key(number));
    }
    assert!(deleted.contains(&key(0)), "the older deletion of the same name is not this one");
    deleted.insert(key(DELETED));
    assert!(!deleted.contains(&key(0)));
    assert!(deleted.names.len() <= DELETED && deleted.order.len() <= DELETED);
}
