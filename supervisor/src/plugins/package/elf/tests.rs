//! Libraries made by the C compiler, each asking for one thing too many.

use super::*;
use crate::plugins::manifest::TARGET;
use proptest::prelude::*;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

const SOURCE: &str = "#include <stdlib.h>\nconst void *midimon_plugin_v1(void) { return getenv(\"HOME\"); }\n";

/// A library of this source, linked with these options.
fn library(source: &str, options: &[&str]) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("plugin.c"), source).unwrap();
    let mut command = Command::new("cc");
    command.args(["-O1", "-fPIC", "-shared", "-o"]).arg(at("plugin.so")).arg(at("plugin.c")).args(options);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(at("plugin.so")).unwrap()
}

fn plain() -> &'static [u8] {
    static PLAIN: OnceLock<Vec<u8>> = OnceLock::new();
    PLAIN.get_or_init(|| library(SOURCE, &[]))
}

fn fault(source: &str, options: &[&str]) -> ElfFault {
    examine(&library(source, options), TARGET).unwrap_err()
}

#[test]
fn a_plain_library_passes_and_its_needs_are_told() {
    let facts = examine(plain(), TARGET).unwrap();
    assert_eq!(facts.machine, TARGET.split('-').next().unwrap());
    assert_eq!(facts.needed, ["libc.so.6"]);
    facts.runs_here().unwrap();
    let source =
        format!("{SOURCE}#include <math.h>\n#include <stdio.h>\ndouble f(double x) {{ puts(\"\"); return sin(x); }}");
    let facts = examine(&library(&source, &["-lm"]), TARGET).unwrap();
    assert!(facts.needed.contains(&"libm.so.6".to_owned()));
    let (wanted, host) = (facts.glibc.unwrap(), glibc::glibc_version().unwrap());
    assert!(wanted >= (2, 2) && wanted <= host, "{wanted:?} {host:?}");
    for hash in ["sysv", "gnu", "both"] {
        examine(&library(SOURCE, &[&format!("-Wl,--hash-style={hash}")]), TARGET).unwrap();
    }
}

#[test]
fn e095_what_a_library_would_bring_along_is_refused() {
    let linked = |option: &str| fault(SOURCE, &[&format!("-Wl,{option}")]);
    assert_eq!(linked("--disable-new-dtags,-rpath,$ORIGIN"), ElfFault::Places("DT_RPATH"));
    assert_eq!(linked("--enable-new-dtags,-rpath,/tmp"), ElfFault::Places("DT_RUNPATH"));
    assert_eq!(linked("--audit,/tmp/a.so"), ElfFault::Places("DT_AUDIT"));
    assert_eq!(linked("--depaudit,/tmp/a.so"), ElfFault::Places("DT_DEPAUDIT"));
    assert_eq!(linked("--filter,libc.so.6"), ElfFault::Places("DT_FILTER"));
    assert_eq!(linked("--auxiliary,libc.so.6"), ElfFault::Places("DT_AUXILIARY"));
    assert_eq!(linked("-z,interpose"), ElfFault::Interposes("DF_1_INTERPOSE"));
    assert_eq!(linked("-z,global"), ElfFault::Interposes("DF_1_GLOBAL"));
    assert_eq!(linked("-z,execstack"), ElfFault::ExecutableStack);
    let mut writable = plain().to_vec();
    let code = headers(&writable, abi::PT_LOAD).find(|at| writable[at + 4] & 1 != 0).unwrap();
    writable[code + 4] |= 2;
    assert_eq!(examine(&writable, TARGET), Err(ElfFault::WritableCode));
    let ifunc = "static void f(void) {}\nstatic void *r(void) { return f; }\nvoid g(void) __attribute__((ifunc(\"r\")));\n\
                 void h(void) { g(); }\n";
    assert_eq!(fault(&format!("{SOURCE}{ifunc}"), &[]), ElfFault::Ifunc);
    let hidden = ifunc.replace("void g(void) __attr", "static void g(void) __attr");
    assert_eq!(fault(&format!("{SOURCE}{hidden}"), &[]), ElfFault::Ifunc);
}

#[test]
fn e095_a_library_that_is_not_always_there_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let planted = dir.path().join("libplanted.so");
    std::fs::write(&planted, library("void planted(void) {}", &["-Wl,-soname,libplanted.so"])).unwrap();
    let error = fault(SOURCE, &["-Wl,--no-as-needed", planted.to_str().unwrap()]);
    assert_eq!(error, ElfFault::Library("libplanted.so".to_owned()));
    assert!(error.to_string().contains("link it statically (libc.so.6, "));
    let path = patched(b"libc.so.6\0", b"/tmp/x.so\0");
    assert_eq!(examine(&path, TARGET), Err(ElfFault::Library("/tmp/x.so".to_owned())));
    let escape = patched(b"libc.so.6\0", b"\x1b[2J.so.6\0");
    assert_eq!(examine(&escape, TARGET), Err(ElfFault::Library("\\u{1b}[2J.so.6".to_owned())));
}

/// Where the headers of segments of this type are. A header is its type in 4
/// bytes, flags in 4, offset in 8, address in 8, and more.
fn headers(bytes: &[u8], kind: u32) -> impl Iterator<Item = usize> {
    let count = usize::from(u16::from_le_bytes([bytes[56], bytes[57]]));
    let of_type: Vec<usize> =
        (0..count).map(|index| 64 + index * 56).filter(|at| bytes[*at..*at + 4] == kind.to_le_bytes()).collect();
    of_type.into_iter()
}

/// The plain library with some bytes for others, wherever they are.
fn patched(from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut bytes = plain().to_vec();
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to);
    bytes
}

#[test]
fn e096_a_library_that_takes_the_name_of_a_system_library_is_refused() {
    assert_eq!(fault(SOURCE, &["-Wl,-soname,libm.so.6"]), ElfFault::Soname("libm.so.6".to_owned()));
    assert!(examine(&library(SOURCE, &["-Wl,-soname,libmine.so"]), TARGET).is_ok());
}

#[test]
fn a_library_that_is_no_plugin_or_of_another_machine_is_told() {
    assert_eq!(fault("void other(void) {}", &[]), ElfFault::NoSymbol);
    let hidden = SOURCE.replace("const void", "__attribute__((visibility(\"hidden\"))) const void");
    assert_eq!(fault(&hidden, &[]), ElfFault::NoSymbol);
    assert_eq!(fault("int midimon_plugin_v1 = 1;", &[]), ElfFault::NoSymbol);
    assert_eq!(
        fault("extern void midimon_plugin_v1(void); void f(void) { midimon_plugin_v1(); }", &[]),
        ElfFault::NoSymbol
    );
    assert_eq!(examine(plain(), "riscv64gc-x"), Err(ElfFault::OtherMachine("riscv64gc-x".to_owned())));
    assert_eq!(examine(plain(), "wasm32-x"), Err(ElfFault::OtherMachine("wasm32-x".to_owned())));
    assert_eq!(examine(b"\0asm\x01\0\0\0", TARGET), Err(ElfFault::NotElf));
    let own = std::fs::read("/proc/self/exe").unwrap();
    assert_eq!(examine(&own, TARGET), Err(ElfFault::NotShared), "a position-independent program");
}

#[test]
fn a_glibc_that_is_newer_than_the_hosts_is_refused_with_both_numbers() {
    let facts = NativeFacts { machine: "x86_64", needed: Vec::new(), glibc: Some((2, 38)) };
    let error = facts.runs_with(Some((2, 36))).unwrap_err().to_string();
    assert_eq!(error, "needs glibc 2.38, this system has 2.36; build it on an older system");
    assert!(
        facts.runs_with(Some((2, 38))).is_ok()
            && facts.runs_with(Some((3, 0))).is_ok()
            && facts.runs_with(None).is_ok()
    );
    let old = |glibc| NativeFacts { glibc, ..facts.clone() }.runs_with(Some((2, 36)));
    assert!(old(None).is_ok() && old(Some((2, 4))).is_ok());
}

#[test]
fn e095_a_dynamic_table_shown_to_us_and_another_to_the_loader_is_refused() {
    let mut bytes = plain().to_vec();
    let dynamic = headers(&bytes, abi::PT_DYNAMIC).next().unwrap();
    bytes[dynamic + 8] ^= 0x10;
    assert_eq!(examine(&bytes, TARGET), Err(ElfFault::Damaged("its dynamic table is in two places")));
    let mut bytes = plain().to_vec();
    let at = headers(&bytes, abi::PT_GNU_STACK).next().unwrap();
    bytes.copy_within(dynamic..dynamic + 56, at);
    assert_eq!(examine(&bytes, TARGET), Err(ElfFault::ExecutableStack), "one that does not say so");
    let mut bytes = plain().to_vec();
    let last = headers(&bytes, abi::PT_LOAD).last().unwrap();
    bytes[last + 16..][..8].fill(0);
    let error = examine(&bytes, TARGET).unwrap_err();
    assert!(matches!(error, ElfFault::Damaged(_)), "a segment over the first one: {error}");
}

#[test]
fn the_libraries_of_the_list_are_where_workers_can_read() {
    let directories = [
        "/lib64",
        "/usr/lib64",
        "/lib/x86_64-linux-gnu",
        "/usr/lib/x86_64-linux-gnu",
        "/lib/aarch64-linux-gnu",
        "/lib",
        "/usr/lib",
    ];
    let found = |name: &&str| directories.iter().any(|directory| Path::new(directory).join(name).exists());
    assert!(LIBRARIES.iter().filter(|name| found(name)).count() >= 7, "the other machine's loader is not here");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn no_change_of_a_few_bytes_makes_the_look_panic(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>(), head in any::<bool>()) {
        let mut bytes = plain().to_vec();
        let range = if head { 1024 } else { bytes.len() };
        for (at, value) in changes {
            bytes[at.index(range)] = value;
        }
        let _ = examine(&bytes, TARGET);
        let _ = examine(&bytes[..cut.index(bytes.len())], TARGET);
    }
}
