use super::*;
use proptest::prelude::*;
use serde_json::json;

const FULL: &str = r#"
schema = 1
min_midimon = "0.1.0"
id = "obs-control"
name = "OBS"
version = "1.2.3"
kind = "native"
entry = "libobs.so"
description = "Switches scenes"
authors = ["A", "B"]
licence = "MIT"
homepage = "https://example.org"

[[actions]]
name = "scene"
description = "Switches to a scene"
params = [
    { name = "scene", type = "string", required = true },
    { name = "fade", type = "number", default = 0.5 },
]
example = { scene = "Live", fade = 1 }

[[capabilities]]
capability = "network"
targets = ["localhost:4455", "example.org:443"]
reason = "talks to OBS"

[[capabilities]]
capability = "filesystem"
reason = "keeps the scene list"

[limits]
memory_mib = 32
fuel = 5
instance = "per-call"
"#;

fn problems(text: &str) -> Vec<String> {
    Manifest::parse(text).unwrap_err().iter().map(Problem::to_string).collect()
}

/// The smallest manifest, with `more` at its end.
fn minimal(more: &str) -> String {
    format!("schema = 1\nid = \"ab\"\nname = \"N\"\nversion = \"1.0.0\"\nkind = \"wasm\"\nentry = \"a.wasm\"\n{more}")
}

#[test]
fn a_full_manifest_is_read_whole() {
    let manifest = Manifest::parse(FULL).unwrap();
    assert_eq!(manifest.id.as_str(), "obs-control");
    assert_eq!(manifest.version, Version::new(1, 2, 3));
    assert_eq!((manifest.kind, manifest.entry.as_str()), (PluginKind::Native, "libobs.so"));
    assert_eq!(manifest.authors, ["A", "B"]);
    let asked: Vec<String> = manifest.capabilities.iter().map(|request| request.capability.to_string()).collect();
    assert_eq!(asked, ["network:localhost:4455", "network:example.org:443", "filesystem"]);
    assert_eq!(manifest.capabilities[0].reason, "talks to OBS");
    assert_eq!(manifest.limits.memory_mib, Some(32));
    assert_eq!(manifest.limits.instance, Some(InstanceMode::PerCall));
    let action = &manifest.actions[0];
    assert_eq!((action.params[0].required, action.params[0].ty), (true, ParamType::String));
    assert_eq!(action.params[1].default, Some(json!(0.5)));
    assert_eq!(json!(action.example), json!({ "scene": "Live", "fade": 1 }));
}

#[test]
fn every_mistake_is_reported_at_once_in_its_place() {
    let text = minimal(
        "descripton = \"x\"\nlicence = 7\n[limits]\nmemory_mib = 0\n[[capabilities]]\ncapability = \"root\"\nreason = \"r\"\n[[actions]]\nname = \"a\"\nparams = [{ name = \"p\", type = \"text\" }]\n",
    );
    assert_eq!(
        problems(&text),
        [
            "7:1: unknown key `descripton`; did you mean `description`?",
            "8:11: `licence` must be a text, not integer",
            "10:14: `memory_mib` must be from 1 to 65536",
            "12:14: unknown capability 'root'; known: filesystem, network, midi, subprocess, input, system-control, audio, mode",
            "16:32: `type` must be one of: string, integer, number, boolean, array, table",
        ]
    );
}

#[test]
fn syntax_errors_and_missing_fields_have_positions() {
    assert!(problems("schema = 1\nid = \"x\nname = 3 3\n")[0].starts_with("2:"));
    let missing = problems("schema = 1\n");
    assert_eq!(missing.len(), 5);
    for key in ["id", "name", "version", "kind", "entry"] {
        assert!(missing.iter().any(|line| line.contains(&format!("`{key}` is missing"))), "{key}");
    }
}

#[test]
fn an_entry_is_a_plain_file_name() {
    for bad in ["../a.so", "/lib/a.so", "a/b.so", "..", ".hidden", "a\\\\b", ""] {
        let text = minimal("").replace("a.wasm", bad);
        assert!(Manifest::parse(&text).is_err(), "{bad}");
    }
    assert!(Manifest::parse(&minimal("")).is_ok());
}

#[test]
fn the_entry_for_this_machine_is_taken() {
    let entries = |target: &str| {
        minimal("").replace("\"a.wasm\"", &format!("{{ {target} = \"liba.so\", other-machine = \"libb.so\" }}"))
    };
    assert_eq!(Manifest::parse(&entries(TARGET)).unwrap().entry, "liba.so");
    let missing = problems(&entries("sparc-unknown-none"));
    assert_eq!(missing, [format!("6:9: there is no entry for this machine, `{TARGET}`")]);
}

#[test]
fn a_text_that_would_mislead_is_refused() {
    for bad in ["\\u001b[31m", "\\n", "a\\u202Eb", "a\\u200Bb", "\\u2066", "\\uFEFF", "\\U000E0041", "\\u00AD", " "] {
        let text = minimal("").replace("\"N\"", &format!("\"{bad}\""));
        assert!(Manifest::parse(&text).is_err(), "{bad}");
    }
    let text = minimal("").replace("\"N\"", "\"Größe 五 é\"");
    assert_eq!(Manifest::parse(&text).unwrap().name, "Größe 五 é");
    assert!(Manifest::parse(&minimal("").replace("\"N\"", &format!("\"{}\"", "x".repeat(81)))).is_err());
}

#[test]
fn a_newer_schema_names_the_midimon_it_needs_and_nothing_else() {
    let newer = "schema = 2\nmin_midimon = \"3.1.0\"\nwhatever = 1\n";
    assert_eq!(problems(newer), ["1:10: this manifest's schema is newer: needs midimon ≥ 3.1.0"]);
    let wanted = minimal("min_midimon = \"99.0.0\"\n");
    assert!(problems(&wanted)[0].contains("needs midimon ≥ 99.0.0, this is "));
}

#[test]
fn the_ancestors_form_is_answered_with_the_new_one() {
    let old = "[plugin]\nname = \"Spotify Control\"\nversion = \"0.2.0\"\ndescription = \"Music\"\nauthor = \"A\"\nlicense = \"MIT\"\ntype = \"action\"\nbinary = \"target/spotify.wasm\"\n[plugin.capabilities]\nnetwork = true\nfilesystem = false\nsystem_control = true\n";
    let found = problems(old);
    assert_eq!(found.len(), 1);
    let new = &found[0][found[0].find("schema = 1").unwrap()..];
    // what is printed works once the reasons are written
    let manifest = Manifest::parse(&new.replace("HOST:PORT", "example.org:443")).unwrap();
    assert_eq!(manifest.id.as_str(), "spotify-control");
    assert_eq!((manifest.kind, manifest.entry.as_str()), (PluginKind::Wasm, "spotify.wasm"));
    assert_eq!(manifest.authors, ["A"]);
    let asked: Vec<String> = manifest.capabilities.iter().map(|request| request.capability.to_string()).collect();
    assert_eq!(asked, ["network:example.org:443", "system-control"]);
}

#[test]
fn an_example_that_does_not_work_is_a_mistake() {
    let text = minimal(
        "[[actions]]\nname = \"a\"\nparams = [{ name = \"p\", type = \"integer\", required = true }]\nexample = { q = 1 }\n",
    );
    let found = problems(&text);
    assert_eq!(found.len(), 2);
    assert!(found[0].contains("needs the parameter `p` (integer)"));
    assert!(found[1].contains("has no parameter `q`; it has: p"));
}

#[test]
fn parameters_are_checked_against_their_types() {
    let manifest = Manifest::parse(FULL).unwrap();
    let check = |params: serde_json::Value| manifest.actions[0].check(params.as_object().unwrap()).len();
    assert_eq!(check(json!({ "scene": "a" })), 0);
    assert_eq!(check(json!({ "scene": "a", "fade": 2 })), 0);
    assert_eq!(check(json!({ "scene": 1, "fade": "x", "other": 1 })), 3);
    assert_eq!(check(json!({})), 1);
}

#[test]
fn a_wish_lowers_a_limit_and_never_raises_one() {
    let wishes = LimitWishes { memory_mib: Some(32), timeout_ms: Some(60_000), fuel: Some(7), ..Default::default() };
    let mut limits = Limits { fuel: 0, ..Limits::default() };
    wishes.lower(&mut limits);
    assert_eq!((limits.memory_mib, limits.timeout_ms, limits.fuel), (32, Limits::default().timeout_ms, 7));
    LimitWishes { fuel: Some(9), ..wishes }.lower(&mut limits);
    assert_eq!(limits.fuel, 7);
    for (limit, wish, expected) in [(50, 10, 10), (50, 90, 50), (0, 90, 90)] {
        limits.cpu_percent = limit;
        LimitWishes { cpu_percent: Some(wish), ..Default::default() }.lower(&mut limits);
        assert_eq!(limits.cpu_percent, expected);
    }
}

#[test]
fn a_manifest_over_the_limit_or_not_text_is_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE_NAME);
    let error = || Manifest::read(dir.path()).unwrap_err().to_string();
    assert_eq!(error(), format!("{}: there is no such file", path.display()));
    std::fs::write(&path, vec![b'#'; MAX_BYTES as usize + 1]).unwrap();
    assert!(error().contains("over the limit of 262144"));
    std::fs::write(&path, b"schema = 1 # \xff").unwrap();
    assert!(error().ends_with("is not UTF-8 text"));
    std::fs::write(&path, "id = 1").unwrap();
    assert_eq!(error(), format!("{}:1:1: `schema = 1` is missing", path.display()));
    std::fs::write(&path, FULL).unwrap();
    assert!(Manifest::read(dir.path()).is_ok());
}

#[test]
fn a_manifest_of_nothing_but_mistakes_is_read_in_no_time_and_space() {
    let unknown: String = (0..20_000).map(|number| format!("k{number} = 1\n")).collect();
    let broken = "= = [\n".repeat(40_000);
    let nested = format!("x = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    for text in [minimal(&unknown), broken, nested] {
        assert!(text.len() as u64 <= MAX_BYTES);
        let started = std::time::Instant::now();
        assert!((1..=100).contains(&Manifest::parse(&text).unwrap_err().len()));
        // generous: this guards against minutes
        assert!(started.elapsed() < std::time::Duration::from_secs(20));
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic_or_accept_without_an_id(text in "(?s).{0,300}") {
        if let Err(problems) = Manifest::parse(&text) {
            prop_assert!(!problems.is_empty());
        }
    }

    #[test]
    fn a_manifest_cut_anywhere_gives_positions_inside_the_text(cut in 0..FULL.len()) {
        if let Err(problems) = Manifest::parse(&FULL[..cut]) {
            prop_assert!(problems.iter().all(|problem| problem.line <= FULL.lines().count() + 1));
        }
    }
}
