//! The worker that serves WASM plugins brings no compiler.

use midimon_tests::binaries::Binaries;

/// The crates a compiler is made of, as the names of their functions have them.
const COMPILER: [&str; 4] = ["cranelift_codegen", "cranelift_frontend", "wasmtime_internal_cranelift", "regalloc2"];

/// Those of which the program has a function, or a name of anything.
fn found_in(program: &str) -> Vec<&'static str> {
    let path = Binaries::get().programs.join(program);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let has = |name: &str| bytes.windows(name.len()).any(|window| window == name.as_bytes());
    COMPILER.into_iter().filter(|name| has(name)).collect()
}

#[test]
fn the_compiler_is_in_the_compile_job_and_in_no_worker() {
    assert_eq!(found_in("midimon-compile"), COMPILER, "the names are not to be found where they must be");
    for worker in ["midimon-worker", "midimon-worker-wasm"] {
        assert_eq!(found_in(worker), [""; 0], "{worker} was built with the feature `compile`");
    }
}
