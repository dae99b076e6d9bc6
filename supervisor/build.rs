//! Tells the code for which target it is built; cargo tells build scripts only.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=MIDIMON_TARGET={}", std::env::var("TARGET").unwrap_or_default());
}
