//! The store as it is found after each step of each change.

use super::*;

#[test]
fn after_each_step_of_a_first_installation_the_plugin_is_there_whole_or_not_at_all() {
    let fresh = { Bench::new() };
    drop(fresh.lock());
    let before = fresh.names();
    for steps in 0..=Commit::STEPS.len() {
        let bench = Bench::new();
        {
            let locked = bench.lock();
            let package = package("notes", "1.0.0", FILES);
            let staged = locked.stage(&package.incoming()).unwrap();
            let commit = Commit::new(&locked, &staged, package.granted(), false).unwrap();
            Commit::STEPS[..steps].iter().for_each(|step| step(&commit).unwrap());
            drop(commit);
            // killed: nobody tidies up
            std::mem::forget(staged);
        }
        let expected = (steps >= 4).then(|| "1.0.0".to_owned());
        assert_eq!(bench.runs("notes"), expected, "{steps}");
        drop(bench.lock());
        assert_eq!(bench.runs("notes"), expected, "{steps}, cleaned");
        if expected.is_none() {
            assert_eq!(bench.names(), before, "{steps}");
        } else {
            assert!(!bench.names().iter().any(|name| name.contains(".staging-")), "{steps}");
        }
        // and it can be installed
        bench.install(&package("notes", "1.0.0", FILES)).unwrap();
        assert_eq!(bench.runs("notes"), Some("1.0.0".into()), "{steps}, again");
    }
}

#[test]
fn after_each_step_of_an_update_the_old_version_runs_or_the_new_one_and_nothing_strays() {
    for (old, new, asks) in [("1.1.0", "1.2.0", [FILES, KEYS]), ("1.1.0", "1.1.0", [FILES, FILES])] {
        for steps in 0..=Commit::STEPS.len() {
            let bench = Bench::new();
            bench.install(&package("notes", "1.0.0", FILES)).unwrap();
            bench.install(&package("notes", old, asks[0])).unwrap();
            let update = package("notes", new, asks[1]);
            {
                let locked = bench.lock();
                let staged = locked.stage(&update.incoming()).unwrap();
                let commit = Commit::new(&locked, &staged, update.granted(), false).unwrap();
                Commit::STEPS[..steps].iter().for_each(|step| step(&commit).unwrap());
                std::mem::forget(staged);
            }
            let expected = if steps >= 4 { new } else { old };
            assert_eq!(bench.runs("notes").as_deref(), Some(expected), "{old} to {new}, {steps}");
            drop(bench.lock());
            assert_eq!(bench.runs("notes").as_deref(), Some(expected), "{old} to {new}, {steps}, cleaned");
            let record = bench.record("notes").unwrap();
            let mut dirs: Vec<String> =
                record.versions.iter().map(|known| format!("plugins/notes/{}", known.version)).collect();
            dirs.sort();
            let found = bench.names().into_iter().filter(|name| {
                name.matches('/').count() == 2 && name.starts_with("plugins/notes/") && !name.ends_with(".toml")
            });
            assert_eq!(found.collect::<Vec<_>>(), dirs, "{old} to {new}, {steps}");
            assert!(!bench.names().iter().any(|name| name.contains("/.") && !name.ends_with("/.lock")), "{steps}");
        }
    }
}

#[test]
fn files_half_staged_are_gone_when_the_store_is_locked_next() {
    let bench = Bench::new();
    drop(bench.lock());
    let before = bench.names();
    let half = bench.home().plugins_dir().join(".staging-0123456789abcdef/plugin");
    fs::create_dir_all(&half).unwrap();
    fs::write(half.join("plugin.toml"), "schema").unwrap();
    fs::write(bench.home().grants_dir().join(".notes.toml.4194305.0"), "half").unwrap();
    fs::write(bench.home().trusted_keys().with_file_name(".trusted_keys.toml.4194305.0"), "half").unwrap();
    drop(bench.lock());
    assert_eq!(bench.names(), before);
    // one that is dropped, too
    let locked = bench.lock();
    drop(locked.stage(&package("notes", "1.0.0", "").incoming()).unwrap());
    assert_eq!(bench.names(), before);
}

#[test]
fn after_each_step_of_a_removal_the_plugin_is_there_whole_or_all_of_it_goes() {
    for keep in [false, true] {
        for steps in 0..=Removal::STEPS.len() {
            let bench = Bench::new();
            bench.install(&package("notes", "1.0.0", FILES)).unwrap();
            fs::write(bench.data("notes").join("notes.txt"), "mine").unwrap();
            fs::write(bench.home().settings_dir().join("notes.json"), "{}").unwrap();
            {
                let locked = bench.lock();
                let removal = locked.removal(&id("notes"), keep).unwrap();
                Removal::STEPS[..steps].iter().for_each(|step| step(&removal).unwrap());
            }
            let expected = (steps < 2).then(|| "1.0.0".to_owned());
            if steps < 2 {
                assert_eq!(bench.runs("notes"), expected, "{keep} {steps}");
            }
            drop(bench.lock());
            assert_eq!(bench.record("notes").is_some(), steps < 2, "{keep} {steps}");
            let names = bench.names();
            let has = |name: &str| names.iter().any(|found| found == name);
            assert_eq!(has("plugins/notes"), steps < 2, "{keep} {steps}");
            assert_eq!(has("grants/notes.toml"), steps < 2, "{keep} {steps}");
            assert_eq!(has("plugin-data/notes/notes.txt"), steps < 2 || keep, "{keep} {steps}");
            assert_eq!(has("state/settings/notes.json"), steps < 2 || keep, "{keep} {steps}");
            assert_eq!(has("state/kept-notes.toml"), steps >= 2 && keep, "{keep} {steps}");
        }
    }
}

/// Something that no cleaning can remove: a directory where a file is to be.
fn in_the_way(path: &std::path::Path) {
    fs::create_dir_all(path).unwrap();
}

#[test]
fn what_cannot_be_cleaned_is_told_and_keeps_nobody_from_changing_the_store() {
    let bench = Bench::new();
    bench.install(&package("notes", "1.0.0", FILES)).unwrap();
    let home = bench.home().clone();
    let stubborn = [
        home.grants_dir().join("nobodys.toml"),
        home.settings_dir().join(".x.json.4194305.0"),
        bench.store.path(&id("notes")).join(".installed.toml.4194305.0"),
    ];
    stubborn.iter().for_each(|path| in_the_way(path));
    // what comes after them is cleaned all the same
    let staging = home.plugins_dir().join(".staging-0123456789abcdef");
    fs::create_dir(&staging).unwrap();
    let locked = bench.lock();
    assert_eq!(locked.left_over().len(), 3, "{:?}", locked.left_over());
    assert!(locked.left_over()[1].to_string().contains("nobodys.toml"), "{:?}", locked.left_over());
    assert!(!staging.exists());
    locked.set_enabled(&id("notes"), false, None).unwrap();
    drop(locked);
    assert!(!bench.record("notes").unwrap().enabled);
    stubborn.iter().for_each(|path| fs::remove_dir(path).unwrap());
    assert!(bench.lock().left_over().is_empty());
}

#[test]
fn a_version_is_installed_although_what_it_replaces_cannot_be_tidied_up() {
    let bench = Bench::new();
    bench.install(&package("notes", "1.0.0", FILES)).unwrap();
    in_the_way(&bench.store.path(&id("notes")).join(".installed.toml.4194305.0"));
    let installed = bench.install(&package("notes", "1.1.0", FILES)).unwrap();
    assert_eq!(installed.current, Version::new(1, 1, 0));
    assert_eq!(bench.runs("notes"), Some("1.1.0".into()));
}

#[test]
fn a_changed_file_advises_a_way_back_only_where_there_is_one() {
    let bench = Bench::new();
    bench.install(&package("notes", "1.0.0", FILES)).unwrap();
    let change =
        |version: &str| fs::write(bench.store.path(&id("notes")).join(version).join("guest.wasm"), "x").unwrap();
    let told = || {
        let record = bench.record("notes").unwrap();
        bench.store.current_files(&record).unwrap().check().unwrap_err().to_string()
    };
    change("1.0.0");
    assert!(told().contains("midimon plugin install") && !told().contains("rollback"), "{}", told());
    bench.install(&package("notes", "1.1.0", FILES)).unwrap();
    // found by the rollback itself
    let found = bench.lock().rollback(&id("notes")).unwrap_err().to_string();
    assert!(found.contains("was changed") && !found.contains("rollback"), "{found}");
    change("1.1.0");
    assert!(told().contains("midimon plugin rollback notes"), "{}", told());
}
