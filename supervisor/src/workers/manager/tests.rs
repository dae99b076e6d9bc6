//! Loading with a compiler that a test holds up, and bindings of several plugins.

use super::*;
use crate::testing::pid_in;
use crate::workers::manager::loading::Loading;
use midimon_shared::limits::MAX_PARAMS;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

const LONG: Duration = Duration::from_secs(60);

/// A manager with a directory of its own; no pool runs, so no worker is ever started.
struct Bench {
    directory: tempfile::TempDir,
    manager: PluginManager,
    _driver: Driver,
}

fn id(id: &str) -> PluginId {
    id.parse().unwrap()
}

impl Bench {
    /// With these WASM plugins, and a compiler that says when it starts and ends
    /// when it may.
    fn new(plugins: &[&str]) -> Self {
        Self::with_store(plugins, |_| None)
    }

    /// The same, and with the installed plugins of a store in this directory.
    fn with_store(plugins: &[&str], store: impl Fn(&Path) -> Option<Store>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir(path("plugins")).unwrap();
        for plugin in plugins {
            // as many digests as plugins
            let code = [b"\0asm\x01\0\0\0", plugin.as_bytes()].concat();
            fs::write(path("plugins").join(format!("{plugin}.wasm")), code).unwrap();
        }
        let script = format!(
            "#!/bin/sh\necho $$ > {started}\nuntil /usr/bin/test -e {may_end}; do /bin/sleep 0.01; done\necho code >&4\n",
            started = path("started").display(),
            may_end = path("may-end").display(),
        );
        fs::write(path("midimon-compile"), script).unwrap();
        fs::set_permissions(path("midimon-compile"), fs::Permissions::from_mode(0o755)).unwrap();
        let installed = store(directory.path());
        let options = ManagerOptions {
            programs: Some(path("")),
            installed,
            ..ManagerOptions::new(path("plugins"), path("data"))
        };
        let (manager, driver) = PluginManager::with_driver(options).unwrap();
        Self { directory, manager, _driver: driver }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Waits for the compiler's start; its process number.
    fn compiling(&self) -> String {
        pid_in(&self.path("started"))
    }

    fn let_it_end(&self) {
        fs::write(self.path("may-end"), "").unwrap();
    }

    fn disable(&self, plugin: &str) {
        let policy = Policy { disabled: true, ..Policy::default() };
        self.manager.set_policies(Some(self.path("plugins")), Policies::from([(id(plugin), policy)]));
    }
}

mod changes;

#[test]
fn a_plugin_disabled_while_it_is_compiled_is_not_started_and_the_others_are() {
    let bench = Bench::new(&["aa", "bb"]);
    std::thread::scope(|scope| {
        let sync = scope.spawn(|| bench.manager.sync());
        bench.compiling();
        assert_eq!(bench.manager.loading(), Loading { compiling: Some(id("aa")), waiting: vec![id("bb")] });
        bench.disable("aa");
        bench.let_it_end();
        sync.join().unwrap();
    });
    assert_eq!(bench.manager.list(), [id("bb")]);
    assert_eq!(bench.manager.loading(), Loading::default());
    assert_eq!(bench.manager.problems(), []);
}

#[test]
fn a_plugin_that_is_disabled_is_stopped_although_another_one_is_being_compiled() {
    let bench = Bench::new(&["aa"]);
    bench.let_it_end();
    bench.manager.sync();
    assert_eq!(bench.manager.list(), [id("aa")]);
    fs::remove_file(bench.path("may-end")).unwrap();
    fs::remove_file(bench.path("started")).unwrap();
    fs::write(bench.path("plugins").join("bb.wasm"), b"\0asm\x01\0\0\0bb").unwrap();
    std::thread::scope(|scope| {
        let sync = scope.spawn(|| bench.manager.sync());
        bench.compiling();
        bench.disable("aa");
        assert_eq!(bench.manager.list(), []);
        bench.let_it_end();
        sync.join().unwrap();
    });
    assert_eq!(bench.manager.list(), [id("bb")]);
}

#[test]
fn the_end_of_loading_kills_the_compiler_and_blames_no_plugin() {
    let bench = Bench::new(&["aa", "bb"]);
    std::thread::scope(|scope| {
        let sync = scope.spawn(|| bench.manager.sync());
        let compiler = bench.compiling();
        let stopped = Instant::now();
        bench.manager.stop_loading();
        sync.join().unwrap();
        assert!(stopped.elapsed() < LONG / 2);
        assert!(!Path::new("/proc").join(compiler).exists());
    });
    bench.manager.sync();
    assert_eq!(bench.manager.list(), []);
    assert_eq!(bench.manager.problems(), []);
    assert_eq!(bench.manager.loading(), Loading::default());
}

#[test]
fn bindings_that_one_plugin_cannot_have_change_nothing_for_any() {
    let bench = Bench::new(&[]);
    let bind = |plugin: &str, action: &str, params: &str| {
        let spec = BindSpec { action: action.into(), params: params.into(), timeout: None, paired: false };
        (id(plugin), spec)
    };
    let before = [bind("aa", "x", "{}"), bind("bb", "y", "{}")];
    let routes = |targets: &[Target]| targets.iter().map(|target| target.route).collect::<Vec<_>>();
    let first = routes(&bench.manager.configure(&before).unwrap());
    let huge = "x".repeat(MAX_PARAMS + 1);
    for wrong in ["aa", "bb", "cc"] {
        let wanted = [bind("aa", "new", "{}"), bind("bb", "new", "{}"), bind(wrong, "large", &huge)];
        assert_eq!(bench.manager.configure(&wanted).unwrap_err().0, id(wrong));
        for (plugin, action) in [("aa", "x"), ("bb", "y")] {
            assert_eq!(&*bench.manager.lane(&id(plugin)).action(midimon_shared::BindingId(0)), action);
            assert_ne!(&*bench.manager.lane(&id(plugin)).action(midimon_shared::BindingId(1)), "new");
        }
    }
    assert_eq!(routes(&bench.manager.configure(&before).unwrap()), first);
}
