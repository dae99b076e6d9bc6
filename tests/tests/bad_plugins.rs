//! Plugins that are broken: a clear error that names the file and the cause, in
//! `status`, and a daemon that runs on.

use midimon::workers::status::WorkerState;
use midimon_tests::{Bed, Config, Guest, eventually};
use std::fs;
use std::time::Instant;

/// Starts a daemon with `echo` and what is in the bed; some complaint must
/// contain all of `parts`, in `status` as the user sees it, while echo answers.
fn complains(bed: &Bed, parts: &[&str]) {
    complains_each(bed, &[parts]);
}

fn complains_each(bed: &Bed, all: &[&[&str]]) {
    bed.install("echo");
    bed.configure(&Config::new().note(60, "echo", "quiet"));
    let started = Instant::now();
    let mut daemon = bed.start();
    daemon.wait_ready("echo");
    daemon.answers("echo", 60);
    for parts in all {
        eventually("a complaint", || {
            let shown = bed.run(&["status"]);
            let text = String::from_utf8_lossy(&shown.stdout).into_owned();
            let found = text.lines().any(|line| parts.iter().all(|part| line.contains(part)));
            if found { Ok(()) } else { Err(format!("no line with all of {parts:?} in\n{text}{}", daemon.log_text())) }
        });
    }
    println!("told after {:.1?}", started.elapsed());
    daemon.answers("echo", 60);
    let failed = daemon.status().workers.into_iter().filter(|worker| worker.state == WorkerState::Failed);
    assert!(failed.into_iter().all(|worker| worker.pid.is_none()), "a worker of a failed plugin still runs");
    daemon.stop();
}

fn fixture(id: &str) -> Bed {
    let bed = Bed::new();
    bed.install(id);
    bed
}

mod hostile {
    use super::*;

    #[test]
    fn an_abi_of_another_version_is_named_with_both_versions() {
        complains(&fixture("old-abi"), &["old-abi/plugin.so", "version 42", "version 1"]);
    }

    #[test]
    fn a_missing_export_is_named() {
        complains(&fixture("no-export"), &["no-export/plugin.so", "does not export `midimon_plugin_v1`"]);
    }

    #[test]
    fn an_init_that_fails_is_quoted() {
        complains(&fixture("failing-init"), &["failing-init/plugin.so", "init failed with code 9: told to fail"]);
    }

    #[test]
    fn a_constructor_that_hangs_is_ended_at_its_deadline() {
        complains(&fixture("hanging-constructor"), &["hanging-constructor/plugin.so", "deadline: loading"]);
    }

    #[test]
    fn an_init_that_hangs_is_ended_at_its_deadline() {
        complains(&fixture("hanging-init"), &["hanging-init/plugin.so", "deadline: loading"]);
    }

    #[test]
    fn a_library_cut_short_anywhere_is_never_loaded() {
        let bed = Bed::new();
        let code = fs::read(bed.install("echo").join("libecho.so")).expect("the library");
        let lengths = [0, 3, 64, 1000, code.len() / 2, code.len() - 1];
        let entries: Vec<String> = (0..lengths.len()).map(|n| format!("cut-{n}/cut.so")).collect();
        for (n, length) in lengths.into_iter().enumerate() {
            bed.write_plugin(&format!("cut-{n}"), "cut.so", &code[..length], "");
        }
        let words =
            ["is not a shared library", "is not a shared library", "cut", "cut short", "cut short", "cut short"];
        let parts: Vec<[&str; 2]> = entries.iter().zip(words).map(|(entry, word)| [entry.as_str(), word]).collect();
        complains_each(&bed, &parts.iter().map(<[&str; 2]>::as_slice).collect::<Vec<_>>());
    }

    #[test]
    fn a_wasm_file_that_is_none_or_cut_short_is_named() {
        let bed = Bed::new();
        let code = wat::parse_str(Guest::default().text()).expect("a guest");
        bed.write_plugin("text", "text.wasm", b"hello", "");
        bed.write_plugin("empty", "empty.wasm", b"", "");
        bed.write_plugin("cut", "cut.wasm", &code[..code.len() / 2], "");
        bed.write_plugin("component", "component.wasm", b"\0asm\x0d\0\x01\0", "");
        complains_each(
            &bed,
            &[
                &["text/text.wasm", "is neither a WASM module nor a component"],
                &["empty/empty.wasm", "is neither a WASM module nor a component"],
                &["cut/cut.wasm", "cannot be compiled"],
                &["component/component.wasm", "component"],
            ],
        );
    }

    #[test]
    fn a_guest_that_does_not_keep_the_interface_is_told_what_is_missing() {
        let bed = Bed::new();
        bed.write_guest("bare", r#"(module (memory (export "memory") 1))"#);
        bed.write_guest("no-memory", "(module)");
        bed.write_guest(
            "foreign",
            r#"(module (import "env" "print" (func)) (memory (export "memory") 1)
            (func (export "init") (result i64) i64.const 0) (func (export "alloc") (param i32) (result i32) i32.const 0)
            (func (export "execute") (param i32 i32) (result i32) i32.const 0))"#,
        );
        bed.write_guest("prose", &Guest { metadata: "name = guest", ..Guest::default() }.text());
        complains_each(
            &bed,
            &[
                &["bare/guest.wasm", "does not export `init`"],
                &["no-memory/guest.wasm", "does not export `memory`"],
                &["foreign/guest.wasm", "wants what midimon does not offer", "env"],
                &["prose/guest.wasm", "its metadata is not the JSON"],
            ],
        );
    }

    #[test]
    fn two_plugins_with_one_id_are_told_with_both_places_and_the_first_one_runs() {
        let bed = Bed::new();
        let code = fs::read(bed.install("echo").join("libecho.so")).expect("the library");
        let second = bed.write_plugin("zz-other", "libecho.so", &code, "");
        let manifest = fs::read_to_string(second.join("plugin.toml")).expect("its manifest");
        fs::write(second.join("plugin.toml"), manifest.replace("id = \"zz-other\"", "id = \"echo\""))
            .expect("its manifest");
        complains(&bed, &["zz-other", "the id 'echo' is taken by", "dev/echo"]);
    }

    #[test]
    fn a_manifest_with_mistakes_is_told_with_each_place() {
        let bed = Bed::new();
        bed.write_plugin("typo", "libtypo.so", b"", "colour = \"red\"\n");
        fs::create_dir(bed.plugin_dir().join("garbage")).expect("a folder");
        fs::write(bed.plugin_dir().join("garbage/plugin.toml"), b"\xFF\xFE not text").expect("a file");
        fs::create_dir(bed.plugin_dir().join("future")).expect("a folder");
        fs::write(bed.plugin_dir().join("future/plugin.toml"), "schema = 2\nid = \"future\"\n").expect("a file");
        bed.write_plugin("away", "gone.wasm", b"", "");
        fs::remove_file(bed.plugin_dir().join("away/gone.wasm")).expect("it was there");
        bed.write_plugin("outside", "x.so", b"", "");
        let manifest = fs::read_to_string(bed.plugin_dir().join("outside/plugin.toml")).expect("its manifest");
        fs::write(bed.plugin_dir().join("outside/plugin.toml"), manifest.replace("x.so", "../../../etc/passwd"))
            .expect("its manifest");
        complains_each(
            &bed,
            &[
                &["typo/plugin.toml", "colour"],
                &["garbage/plugin.toml", "UTF-8"],
                &["future/plugin.toml", "newer"],
                &["away/gone.wasm", "there is no such file"],
                &["outside/plugin.toml", "plain name of a file"],
            ],
        );
    }

    #[test]
    fn a_broken_plugin_that_is_repaired_runs_after_a_reload() {
        let bed = Bed::new();
        bed.install("echo");
        let place = bed.install("no-export");
        bed.configure(&Config::new().note(60, "echo", "quiet").note(61, "no-export", "quiet"));
        let mut daemon = bed.start();
        daemon.wait_worker("no-export", "failed", |worker| worker.state == WorkerState::Failed);
        let good = bed.plugin_dir().join("echo/libecho.so");
        fs::copy(good, place.join("new.so")).expect("a copy");
        fs::rename(place.join("new.so"), place.join("plugin.so")).expect("in its place");
        assert!(bed.run(&["reload"]).status.success());
        daemon.wait_ready("no-export");
        daemon.answers("no-export", 61);
        daemon.stop();
    }
}
