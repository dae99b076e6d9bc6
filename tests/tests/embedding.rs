//! Another program embeds the plugin host: the library's own calls on the built plugins.

use midimon::workers::manager::{CallError, LoadError, ManagerOptions, PluginManager, Policies, Policy};
use midimon::workers::status::{PluginKind, WorkerState};
use midimon_shared::{PluginId, TriggerContext};
use midimon_tests::binaries::Binaries;
use midimon_tests::{Bed, Process, eventually};
use serde_json::json;

fn options(bed: &Bed) -> ManagerOptions {
    ManagerOptions {
        // a test is not where the workers are
        programs: Some(Binaries::get().programs.clone()),
        ..ManagerOptions::new(bed.plugin_dir(), bed.path("plugin-data"))
    }
}

fn manager(bed: &Bed) -> PluginManager {
    PluginManager::new(options(bed)).expect("a manager")
}

#[test]
fn the_documented_example_works() -> Result<(), Box<dyn std::error::Error>> {
    let bed = Bed::new();
    bed.install("echo");
    let manager = PluginManager::new(options(&bed))?;
    manager.load_plugin("echo")?;
    let params = json!({ "action": "say", "text": "hello" });
    let answer = manager.execute_plugin("echo", params, Some(TriggerContext::new().with_velocity(100)))?;
    assert_eq!(answer.text, r#"say {"text":"hello"}, velocity 100"#);
    manager.shutdown();
    Ok(())
}

#[test]
fn native_and_wasm_plugins_take_the_same_calls() {
    let bed = Bed::new();
    let plugins = [("echo", PluginKind::Native), ("echo-c", PluginKind::Native), ("echo-wasm", PluginKind::Wasm)];
    for (id, _) in plugins {
        bed.install(id);
    }
    let manager = manager(&bed);
    assert!(manager.list().is_empty());
    for (id, _) in plugins {
        manager.load_plugin(id).unwrap_or_else(|error| panic!("{id}: {error}"));
        for velocity in [None, Some(1), Some(127)] {
            let context = velocity.map(|velocity| TriggerContext::new().with_velocity(velocity));
            let params = json!({ "action": "say", "text": "hello" });
            let answer = manager.execute_plugin(id, params, context);
            assert!(answer.is_ok(), "{id}: {answer:?}");
        }
    }
    let ids: Vec<String> = manager.list().iter().map(ToString::to_string).collect();
    assert_eq!(ids, ["echo", "echo-c", "echo-wasm"]);
    let status = manager.status();
    for (worker, (id, kind)) in status.iter().zip(plugins) {
        assert_eq!((worker.id.as_str(), worker.kind, worker.state), (id, kind, WorkerState::Ready));
        assert_eq!((worker.calls.received, worker.calls.done, worker.restarts), (3, 3, 0), "{worker:#?}");
    }
    // what the old ABI cannot answer with stands in the plugin's log
    eventually("the WASM plugin's words", || {
        let status = manager.status();
        let tail = &status[2].log_tail;
        let said = |line: &String| line.contains(r#"say {"text":"hello"}, velocity 127"#);
        if tail.iter().any(said) { Ok(()) } else { Err(format!("{tail:?}")) }
    });

    let workers: Vec<Process> = status.iter().filter_map(|worker| Process::of(worker.pid?)).collect();
    assert_eq!(workers.len(), 3);
    manager.shutdown();
    assert!(!workers.iter().any(Process::is_alive), "shutdown returns when the last one has ended");
    let after = manager.execute_plugin("echo", json!({ "action": "say" }), None);
    assert!(after.is_err(), "{after:?}");
}

#[test]
fn every_wrong_call_is_an_error_of_its_own() {
    let bed = Bed::new();
    for id in ["echo", "failing-init"] {
        bed.install(id);
    }
    bed.write_plugin("broken", "broken.so", b"no library", "");
    let manager = manager(&bed);
    assert!(matches!(manager.load_plugin("../echo"), Err(LoadError::Id(_))));
    let unknown = manager.load_plugin("nobody").expect_err("no such plugin");
    assert!(matches!(unknown, LoadError::Unknown(..)) && unknown.to_string().contains("echo"), "{unknown}");
    for id in ["broken", "failing-init"] {
        let error = manager.load_plugin(id).expect_err("it cannot work");
        assert!(error.to_string().contains(id), "{error}");
    }

    let call = |id: &str, params| manager.execute_plugin(id, params, None);
    assert!(matches!(call("echo", json!({ "action": "say" })), Err(CallError::NotLoaded(_))));
    manager.load_plugin("echo").expect("a good plugin beside bad ones");
    assert!(matches!(call("", json!({ "action": "say" })), Err(CallError::Id(_))));
    for params in [json!(null), json!([1]), json!({}), json!({ "action": 5 })] {
        assert!(matches!(call("echo", params.clone()), Err(CallError::NoAction)), "{params}");
    }
    let huge = json!({ "action": "say", "text": "x".repeat(10_000_000) });
    assert!(matches!(call("echo", huge), Err(CallError::Bind(_))));
    assert!(call("echo", json!({ "action": "say" })).is_ok(), "it answers on");
}

#[test]
fn a_disabled_plugin_is_not_loaded_and_an_unloaded_one_not_called() {
    let bed = Bed::new();
    bed.install("echo");
    let manager = manager(&bed);
    let id: PluginId = "echo".parse().expect("an id");
    let off = Policy { disabled: true, ..Policy::default() };
    manager.set_policies(Some(bed.plugin_dir()), Policies::from([(id.clone(), off)]));
    assert!(matches!(manager.load_plugin("echo"), Err(LoadError::Disabled(_))));
    manager.set_policies(Some(bed.plugin_dir()), Policies::new());
    manager.load_plugin("echo").expect("enabled again");
    manager.restart(&id).expect("a new worker");
    assert!(manager.execute_plugin("echo", json!({ "action": "say" }), None).is_ok());
    manager.unload(&id);
    assert!(manager.list().is_empty());
    let gone = manager.execute_plugin("echo", json!({ "action": "say" }), None);
    assert!(matches!(gone, Err(CallError::NotLoaded(_))), "{gone:?}");
    eventually("its worker is gone", || {
        let status = manager.status();
        if status.is_empty() { Ok(()) } else { Err(format!("{status:#?}")) }
    });
}

#[test]
fn calls_from_many_threads_each_get_their_own_answer() {
    let bed = Bed::new();
    bed.install("echo");
    let manager = manager(&bed);
    manager.load_plugin("echo").expect("a plugin");
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let manager = &manager;
            scope.spawn(move || {
                for number in 0..50 {
                    let text = format!("{thread}-{number}");
                    let answer = manager.execute_plugin("echo", json!({ "action": "say", "text": text }), None);
                    let answer = answer.unwrap_or_else(|error| panic!("{text}: {error}"));
                    assert_eq!(answer.text, format!(r#"say {{"text":"{text}"}}"#));
                }
            });
        }
    });
    assert_eq!(manager.status()[0].calls.done, 400);
    manager.shutdown();
}
