//! Lays out the benchmarks as `midimon` is: they are measured in its place.

use std::env::var;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=../supervisor/way.ld");
    // mold knows no scripts
    if !var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default().contains("mold") {
        let here = var("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!("cargo::rustc-link-arg-bin=midimon-bench=-T{here}/../supervisor/way.ld");
    }
}
