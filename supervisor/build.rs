//! Tells the code for which target it is built, as cargo tells build scripts only; lays out the program.

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-env=MIDIMON_TARGET={}", var("TARGET").unwrap_or_default());
    println!("cargo::rerun-if-changed=way.ld");
    // mold knows no scripts
    if !var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default().contains("mold") {
        println!("cargo::rustc-link-arg-bins=-T{}/way.ld", var("CARGO_MANIFEST_DIR").unwrap_or_default());
    }
}
