//! What the worker programs bring along, and what they do not.

use midimon_tests::binaries::Binaries;
use midimon_tests::{Bed, Config};

/// The crates a compiler is made of, as the names of their functions have them.
const COMPILER: [&str; 4] = ["cranelift_codegen", "cranelift_frontend", "wasmtime_internal_cranelift", "regalloc2"];
/// The crates that speak HTTP and TLS.
const NETWORK: [&str; 3] = ["8httparse", "6rustls", "6webpki"];

/// Those of which the program has a function, or a name of anything.
fn found_in<'n>(program: &str, names: &[&'n str]) -> Vec<&'n str> {
    let path = Binaries::get().programs.join(program);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let has = |name: &str| bytes.windows(name.len()).any(|window| window == name.as_bytes());
    names.iter().copied().filter(|name| has(name)).collect()
}

#[test]
fn the_compiler_is_in_the_compile_job_and_in_no_worker() {
    assert_eq!(found_in("midimon-compile", &COMPILER), COMPILER, "the names are not to be found where they must be");
    for worker in ["midimon-worker", "midimon-worker-wasm", "midimon-worker-wasm-net"] {
        assert_eq!(found_in(worker, &COMPILER), [""; 0], "{worker} was built with the feature `compile`");
    }
}

#[test]
fn http_and_tls_are_in_the_worker_for_components_with_a_network_alone() {
    assert_eq!(
        found_in("midimon-worker-wasm-net", &NETWORK),
        NETWORK,
        "the names are not to be found where they must be"
    );
    for worker in ["midimon-worker", "midimon-worker-wasm"] {
        assert_eq!(found_in(worker, &NETWORK), [""; 0], "{worker} can reach what only the network needs");
    }
}

#[test]
fn a_component_that_imports_the_network_gets_the_worker_with_tls_and_http() {
    let bed = Bed::new();
    for id in ["echo", "echo-component", "net-guest"] {
        bed.install(id);
    }
    bed.configure(&Config::new());
    let daemon = bed.start();
    for (id, program) in [
        ("echo", "midimon-worker"),
        ("echo-component", "midimon-worker-wasm"),
        ("net-guest", "midimon-worker-wasm-net"),
    ] {
        let pid = daemon.wait_ready(id).pid.expect("a process");
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).expect("its command line");
        let path = command.split(|byte| *byte == 0).next().unwrap_or_default();
        assert!(path.ends_with(format!("/{program}").as_bytes()), "{id}: {}", String::from_utf8_lossy(path));
    }
}
