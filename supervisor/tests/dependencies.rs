//! The supervisor never loads a plugin, so it links nothing that could.

use std::process::Command;

#[test]
fn the_supervisor_links_neither_wasmtime_nor_libloading() {
    let tree = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--package", "midimon", "--edges", "normal,build", "--prefix", "none"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    let crates = String::from_utf8(tree.stdout).expect("names are text");
    assert!(crates.contains("midimon-shared "), "{crates}{}", String::from_utf8_lossy(&tree.stderr));
    for banned in ["wasmtime", "cranelift", "libloading", "midimon-worker"] {
        assert!(!crates.lines().any(|line| line.starts_with(banned)), "{banned}:\n{crates}");
    }
}
