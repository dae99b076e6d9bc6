//! Turns the system-call policy into filters: BPF programs as constants.
//!
//! seccompiler translates conditions, and knows the calls' numbers. It makes programs with one action
//! for what matches and one for the rest, that look at one call after the other. Here each arm of a rule is
//! one of its programs; their insides are put one after the other under a binary search for the
//! number, so that a stage is one filter, and any call meets its rule in eight comparisons.

#[path = "src/sandbox/seccomp/policy/mod.rs"]
#[allow(dead_code)]
mod policy;

use policy::{Answer, Arch, Condition, Filter, Rule, Test, Width};
use seccompiler::{BpfProgram, TargetArch, sock_filter};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::fmt::Write as _;

/// Stands for the process's own id until a worker installs the filter.
const OWN_PID: u32 = 0xC0DE_501D;

/// The longest program the kernel takes, in instructions.
const MAX_PROGRAM: usize = 4096;

/// seccompiler's mark for "no arm fits", which no rule uses.
const NO_MATCH: &str = "log";
const RET_NO_MATCH: u32 = 0x7FFC_0000;

// BPF: return a constant, jump always, jump when the number is at least a constant
const RET: u16 = 0x06;
const JA: u16 = 0x05;
const JGE: u16 = 0x35;

/// What seccompiler puts in front of each program: the check of the architecture, and loading the number.
const PREFIX: usize = 4;

type Code = Vec<sock_filter>;

/// The programs that serve plugins.
const SERVING: [&str; 3] = ["midimon-worker", "midimon-worker-wasm", "midimon-worker-wasm-net"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=src/sandbox/seccomp/policy");
    lay_out_the_way()?;
    println!("cargo::rerun-if-changed=build.rs");
    let target = match std::env::var("CARGO_CFG_TARGET_ARCH")?.as_str() {
        "x86_64" => Arch::X86_64,
        "aarch64" => Arch::Aarch64,
        other => return Err(format!("the system-call policy has no table for {other}").into()),
    };
    let mut code = String::from("// Made by build.rs from the system-call policy.\n");
    let mut sizes = Vec::new();
    for (arch, name) in [(Arch::X86_64, "x86_64"), (Arch::Aarch64, "aarch64")] {
        let mut numbers = BTreeMap::new();
        for filter in Filter::ALL {
            let program = compile(filter, arch, name.try_into()?, &mut numbers)?;
            sizes.push(format!("({name:?}, {:?}, {})", filter.name(), program.len()));
            if arch == target {
                emit(&mut code, filter, &program)?;
            }
        }
        if arch == target {
            writeln!(
                code,
                "/// The calls of the tables, with their numbers here.\npub static NUMBERS: &[(&str, u32)] = &{:?};",
                numbers.iter().collect::<Vec<_>>()
            )?;
        }
    }
    writeln!(
        code,
        "/// Processor, filter, instructions.\npub static SIZES: &[(&str, &str, usize)] = &[{}];",
        sizes.join(", ")
    )?;
    writeln!(code, "const OWN_PID: u32 = {OWN_PID};")?;
    std::fs::write(std::path::Path::new(&std::env::var("OUT_DIR")?).join("filters.rs"), code)?;
    Ok(())
}

/// One filter as one program.
fn compile(
    filter: Filter,
    arch: Arch,
    target: TargetArch,
    numbers: &mut BTreeMap<&'static str, u32>,
) -> Result<Code, Box<dyn Error>> {
    let parts = translate(filter, arch, target)?;
    let part = |key: String| parts.get(&key).ok_or_else(|| format!("no program for {key}"));
    let mut prefix = None;
    let mut segments = BTreeMap::new();
    for (call, rule) in filter.rules(arch) {
        let whole = part(format!("{call} otherwise"))?;
        prefix.get_or_insert_with(|| whole[..PREFIX].to_vec());
        // the first comparison is with the number
        let number = whole[PREFIX].k;
        numbers.insert(call, number);
        let mut body = Vec::new();
        for index in 0..rule.arms.len() {
            let arm = &part(format!("{call} {index}"))?[PREFIX + 1..];
            // the last two instructions are "no match": within the call, and for other calls
            let [inside @ .., sock_filter { k: RET_NO_MATCH, .. }, sock_filter { k: RET_NO_MATCH, .. }] = arm else {
                return Err(format!("seccompiler's program for {call} has another shape").into());
            };
            body.extend_from_slice(inside);
        }
        body.push(give(rule.otherwise));
        if segments.insert(number, body).is_some() {
            return Err(format!("{call} is in two rules of {}", filter.name()).into());
        }
    }
    let default = vec![give(filter.default_answer())];
    for number in segments.keys().copied().collect::<Vec<_>>() {
        segments.entry(number + 1).or_insert_with(|| default.clone());
    }
    segments.entry(0).or_insert(default);
    let mut segments: Vec<(u32, Code)> = segments.into_iter().collect();
    segments.dedup_by(|next, before| next.1 == before.1);
    let mut program = prefix.ok_or("a filter without rules")?;
    program.extend(search(&segments)?);
    if program.len() > MAX_PROGRAM {
        return Err(format!("{} has {} instructions", filter.name(), program.len()).into());
    }
    Ok(program)
}

/// Compares the number with the first one of the upper half, until one segment is left.
fn search(segments: &[(u32, Code)]) -> Result<Code, Box<dyn Error>> {
    if let [(_, only)] = segments {
        return Ok(only.clone());
    }
    let (lower, upper) = segments.split_at(segments.len() / 2);
    let middle = upper.first().ok_or("no segments")?.0;
    let (lower, upper) = (search(lower)?, search(upper)?);
    let mut program = vec![
        sock_filter { code: JGE, jt: 0, jf: 1, k: middle },
        sock_filter { code: JA, jt: 0, jf: 0, k: lower.len().try_into()? },
    ];
    program.extend(lower);
    program.extend(upper);
    Ok(program)
}

const fn give(answer: Answer) -> sock_filter {
    let k = match answer {
        Answer::Allow => 0x7FFF_0000,
        Answer::Errno(errno) => 0x0005_0000 | errno as u32,
        Answer::Trap => 0x0003_0000,
    };
    sock_filter { code: RET, jt: 0, jf: 0, k }
}

/// A program for each arm of each call, and one without conditions for its number.
fn translate(filter: Filter, arch: Arch, target: TargetArch) -> Result<HashMap<String, BpfProgram>, Box<dyn Error>> {
    let mut parts = serde_json::Map::new();
    for (call, rule) in filter.rules(arch) {
        parts.insert(format!("{call} otherwise"), program(call, &[], rule.otherwise));
        for (index, arm) in rule.arms.iter().enumerate() {
            check(call, rule)?;
            parts.insert(format!("{call} {index}"), program(call, arm.when, arm.then));
        }
    }
    let json = serde_json::to_vec(&parts)?;
    Ok(seccompiler::compile_from_json(json.as_slice(), target)?)
}

fn check(call: &str, rule: &Rule) -> Result<(), String> {
    match rule.arms.iter().any(|arm| arm.when.is_empty()) {
        true => Err(format!("an arm of {call} has no condition")),
        false => Ok(()),
    }
}

fn program(call: &str, when: &[Condition], then: Answer) -> Value {
    let mut rule = json!({ "syscall": call });
    if !when.is_empty() {
        rule["args"] = when.iter().map(condition).collect();
    }
    let action = match then {
        Answer::Allow => json!("allow"),
        Answer::Errno(errno) => json!({ "errno": errno }),
        Answer::Trap => json!("trap"),
    };
    json!({ "mismatch_action": NO_MATCH, "match_action": action, "filter": [rule] })
}

fn condition(condition: &Condition) -> Value {
    let (operator, value) = match condition.test {
        Test::Is(number) => (json!("eq"), number),
        Test::AtMost(number) => (json!("le"), number),
        Test::Masked(mask, bits) => (json!({ "masked_eq": mask }), bits),
        Test::OwnPid => (json!("eq"), OWN_PID.into()),
    };
    let width = match condition.width {
        Width::Int => "dword",
        Width::Long => "qword",
    };
    json!({ "index": condition.argument, "type": width, "op": operator, "val": value })
}

/// Writes a program, and how often the process's own id goes into it.
fn emit(code: &mut String, filter: Filter, program: &[sock_filter]) -> std::fmt::Result {
    let name = filter.name().replace('-', "_").to_uppercase();
    let own_pids = program.iter().filter(|instruction| instruction.k == OWN_PID).count();
    write!(code, "static {name}: Program = Program {{ own_pids: {own_pids}, code: &[")?;
    for sock_filter { code: operation, jt, jf, k } in program {
        write!(code, "[{operation}, {jt}, {jf}, {k}], ")?;
    }
    writeln!(code, "] }};")
}

/// Has the linker lay together what each trigger runs through.
fn lay_out_the_way() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=way.ld");
    // mold knows no scripts
    if !std::env::var("CARGO_ENCODED_RUSTFLAGS")?.contains("mold") {
        let here = std::env::var("CARGO_MANIFEST_DIR")?;
        for program in SERVING {
            println!("cargo::rustc-link-arg-bin={program}=-T{here}/way.ld");
        }
    }
    Ok(())
}
