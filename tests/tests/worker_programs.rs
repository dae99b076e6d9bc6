//! What the worker programs bring along, and what they do not.

use midimon_tests::binaries::Binaries;
use midimon_tests::{Bed, Config};

/// The crates a compiler is made of, as the names of their functions have them.
const COMPILER: [&str; 4] = ["cranelift_codegen", "cranelift_frontend", "wasmtime_internal_cranelift", "regalloc2"];
/// The crates that speak HTTP and TLS.
const NETWORK: [&str; 3] = ["8httparse", "6rustls", "6webpki"];

// of the ELF specification, and for RELRO of the Linux Standard Base
const ET_DYN: usize = 3;
const PT_DYNAMIC: usize = 2;
const PT_GNU_RELRO: usize = 0x6474_E552;
const DT_FLAGS: usize = 30;
const DF_BIND_NOW: usize = 8;

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
fn programs_lie_anywhere_and_what_the_linker_filled_in_is_read_only() {
    for program in ["midimon", "midimon-worker", "midimon-worker-wasm", "midimon-worker-wasm-net", "midimon-compile"] {
        let bytes = std::fs::read(Binaries::get().programs.join(program)).expect("a program");
        let number =
            |at: usize, size: usize| bytes[at..at + size].iter().rfold(0, |sum, byte| sum << 8 | usize::from(*byte));
        assert_eq!(number(16, 2), ET_DYN, "{program} has a fixed address");
        let headers = (0..number(56, 2)).map(|index| number(32, 8) + index * number(54, 2));
        let header = |kind| headers.clone().find(|at| number(*at, 4) == kind);
        assert!(header(PT_GNU_RELRO).is_some(), "{program} has no part that becomes read-only");
        let dynamic = header(PT_DYNAMIC).expect("a dynamic section");
        let (from, size) = (number(dynamic + 8, 8), number(dynamic + 32, 8));
        let entry = (from..from + size).step_by(16).find(|at| number(*at, 8) == DT_FLAGS).expect("flags");
        assert_ne!(number(entry + 8, 8) & DF_BIND_NOW, 0, "{program} finds functions only when it calls them");
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
