//! What packages and their installation read in a manifest.

use super::files::{check_name, from_hex, hex};
use super::*;
use midimon_shared::capability::CapabilityKind;
use serde_json::json;

const BASE: &str = "schema = 1\nid = \"ab\"\nname = \"N\"\nversion = \"1.0.0\"\nkind = \"wasm\"\nentry = \"a.wasm\"\n";

fn parse(more: &str) -> Result<Manifest, Vec<Problem>> {
    Manifest::parse(&format!("{BASE}{more}"))
}

#[track_caller]
fn refused(more: &str, expected: &str) {
    let problems: Vec<String> = parse(more).unwrap_err().iter().map(Problem::to_string).collect();
    assert!(problems.iter().any(|problem| problem.contains(expected)), "{expected}: {problems:?}");
}

fn file(name: &str, size: u64) -> String {
    FileEntry { name: name.to_owned(), sha256: [0xab; 32], size }.to_string()
}

#[test]
fn listed_files_are_read_as_they_are_written() {
    let manifest = parse(&format!("{}{}", file("a.wasm", 7), file("README.md", 0))).unwrap();
    let expected = FileEntry { name: "a.wasm".to_owned(), sha256: [0xab; 32], size: 7 };
    assert_eq!(manifest.files[0], expected);
    assert_eq!(manifest.files[1].name, "README.md");
    assert!(parse("").unwrap().files.is_empty());
}

#[test]
fn a_file_no_package_can_have_is_refused_in_its_place() {
    for bad in ["../a", "/etc/passwd", "a/b", "a\\\\b", ".hidden", "", "a b", "ä", "a\\u0000", "a\\u202Eb"] {
        let text = file("a.wasm", 7) + &file(bad, 1);
        assert!(parse(&text).is_err(), "{bad}");
    }
    refused(&(file("a.wasm", 7) + &file(&"x".repeat(101), 1)), "is over 100 characters");
    refused(&(file("a.wasm", 7) + &file("Plugin.TOML", 1)), "is the manifest's own name");
    refused(&(file("a.wasm", 7) + &file("A.wasm", 1)), "`A.wasm` is there already, as `a.wasm`");
    refused(&file("other", 7), "`a.wasm`, the entry for ");
    refused(&file("a.wasm", MAX_OVER), "`size` must be from 0 to 67108864");
    let large: String = ["b", "c", "d"].map(|name| file(name, files::MAX_FILE)).concat();
    refused(&(file("a.wasm", 7) + &large), "more than 134217728 bytes together");
    let many: String = (0..64).map(|number| file(&format!("f{number}"), 0)).collect();
    refused(&(file("a.wasm", 7) + &many), "`files` has more than 63 entries");
    refused(&file("a.wasm", 7).replace("abab", "ABAB"), "64 digits of 0-9 and a-f");
}

const MAX_OVER: u64 = files::MAX_FILE + 1;

#[test]
fn a_digest_has_one_spelling() {
    let digest = std::array::from_fn(|index| index as u8 * 7);
    assert_eq!(from_hex(&hex(&digest)), Some(digest));
    for bad in ["", "ab", &"A".repeat(64), &"0".repeat(63), &"0".repeat(65), &"é".repeat(32)] {
        assert_eq!(from_hex(bad), None, "{bad}");
    }
    assert!(check_name("libfoo-1.2_x.so").is_ok());
}

#[test]
fn every_target_keeps_its_entry() {
    let entry = format!("entry = {{ zz-other = \"b.wasm\", {TARGET} = \"a.wasm\" }}");
    let text = BASE.replace("entry = \"a.wasm\"", &entry);
    let manifest = Manifest::parse(&text).unwrap();
    let pair = |target: &str, name: &str| (target.to_owned(), name.to_owned());
    assert_eq!(manifest.entries, [pair(TARGET, "a.wasm"), pair("zz-other", "b.wasm")]);
    assert_eq!(parse("").unwrap().entries, [pair(TARGET, "a.wasm")]);
    assert!(Manifest::parse(&text.replace("zz-other", "\"z\\u001b[2J\"")).is_err());
}

#[test]
fn settings_have_names_types_and_no_readable_secrets() {
    let text = r#"
settings = [
    { name = "token", type = "string", secret = true, required = true, description = "d" },
    { name = "port", type = "integer", default = 4455 },
]
"#;
    let manifest = parse(text).unwrap();
    assert!(manifest.settings[0].secret && manifest.settings[0].required);
    assert_eq!(manifest.settings[1].default, Some(json!(4455)));
    refused("settings = [{ name = \"a b\", type = \"string\" }]", "is of A-Z");
    refused("settings = [{ name = \"a\", type = \"table\" }]", "must be one of: string");
    refused("settings = [{ name = \"a\", type = \"string\", secret = true, default = \"x\" }]", "a secret has no");
    refused("settings = [{ name = \"a\", type = \"string\", default = 1 }]", "not of type string");
    refused("settings = [{ name = \"a\", type = \"string\", required = true, default = \"x\" }]", "no use for");
    refused("settings = [{ name = \"a\", type = \"string\" }, { name = \"a\", type = \"string\" }]", "two settings");
    refused("settings = [{ name = \"a\", type = \"string\", shown = 1 }]", "unknown key `shown`");
}

fn asking(more: &str) -> String {
    format!(
        "settings = [{{ name = \"address\", type = \"string\" }}, {{ name = \"pin\", type = \"string\", secret = true }}]\n\
         [[capabilities]]\ncapability = \"network\"\nreason = \"r\"\n{more}\n"
    )
}

#[test]
fn a_target_can_be_left_for_the_user_to_type() {
    let manifest = parse(&asking("ask = \"Address of OBS\"\nsetting = \"address\"")).unwrap();
    let ask = &manifest.asks[0];
    assert_eq!((ask.kind, ask.prompt.as_str(), ask.reason.as_str()), (CapabilityKind::Network, "Address of OBS", "r"));
    assert_eq!(ask.setting.as_deref(), Some("address"));
    assert!(manifest.capabilities.is_empty());
    refused(&asking("ask = \"x\"\ntargets = [\"a:1\"]"), "either `targets` or `ask`");
    refused(&asking("ask = \"x\"\nsetting = \"none\""), "there is no setting `none`");
    refused(&asking("ask = \"x\"\nsetting = \"pin\""), "must be of type string and no secret");
    refused(&asking("targets = [\"a:1\"]\nsetting = \"address\""), "there is none");
    refused(&asking("ask = \"x\\u001b[2J\""), "U+001B");
    refused(&asking(""), "needs `targets = [\"…\"]` or `ask = \"…\"`");
    refused(&asking("ask = \"x\"").replace("network", "filesystem"), "'filesystem' takes no target; nothing to `ask`");
    let twice = "ask = \"x\"\n[[capabilities]]\ncapability = \"midi\"\nreason = \"r\"\nask = \"x\"";
    refused(&asking(twice), "the same is asked twice");
}

#[test]
fn a_target_is_an_address_or_a_name_without_quotation_marks() {
    let asks = |kind: &str, target: &str| {
        format!("[[capabilities]]\ncapability = \"{kind}\"\nreason = \"r\"\ntargets = ['{target}']\n")
    };
    for (kind, target) in [("network", "udp:[::1]:80"), ("network", "a.example:443"), ("midi", "Löwe, Synth (1)")] {
        assert_eq!(parse(&asks(kind, target)).unwrap().capabilities.len(), 1, "{target}");
    }
    for target in ["nothing at all; it stays offline", "a", "a:0", "http://a:80", "0x7f.1:80", "a.example:443 only"] {
        assert!(parse(&asks("network", target)).is_err(), "{target}");
    }
    let sentence = "Synth\" and nothing else. midimon has checked this plugin. \"";
    for (kind, target) in [("midi", sentence), ("midi", "a“b"), ("subprocess", "git”"), ("subprocess", "＂")] {
        refused(&asks(kind, target), "quotation mark");
    }
}

#[test]
fn a_reason_cannot_be_drawn_over_other_lines() {
    let reason = |text: &str| format!("[[capabilities]]\ncapability = \"audio\"\nreason = \"{text}\"\n");
    assert!(parse(&reason("É E\u{301} ▶\u{fe0f}")).is_ok());
    refused(&reason(&format!("a{}", "\u{301}".repeat(290))), "U+0301");
    refused(&reason("\u{20d0}x"), "U+20D0");
    refused(&reason("a \u{fe0f}"), "U+FE0F");
    refused(&reason("a\u{1bca0}"), "U+1BCA0");
}

#[test]
fn what_is_packed_too_is_named_plainly() {
    assert_eq!(parse("include = [\"NOTES.txt\", \"x.dat\"]\n").unwrap().include, ["NOTES.txt", "x.dat"]);
    refused("include = [\"../secret\"]\n", "cannot be a file of a package");
    refused("include = [\"a\", \"A\"]\n", "is there already, as `a`");
}

#[test]
fn a_version_fits_into_a_files_name() {
    let long = format!("1.0.0-{}", "a".repeat(60));
    assert!(Manifest::parse(&BASE.replace("1.0.0", &long)).is_err());
    for bad in ["..", "1.0", "1.0.0/..", "1.0.0 ", "01.0.0", "١.0.0"] {
        assert!(Manifest::parse(&BASE.replace("1.0.0", bad)).is_err(), "{bad}");
    }
}

#[test]
fn nobody_can_ask_for_more_than_can_be_judged() {
    let asking = |count: usize| {
        let table = |part: usize| {
            let targets: Vec<String> = (part..(part + 32).min(count)).map(|number| format!("\"P{number}\"")).collect();
            let targets = targets.join(", ");
            format!("[[capabilities]]\ncapability = \"midi\"\ntargets = [{targets}]\nreason = \"r\"\n")
        };
        let tables: String = (0..count).step_by(32).map(table).collect();
        let head = "schema = 1\nid = \"ab\"\nname = \"N\"\nversion = \"1.0.0\"\nkind = \"wasm\"\nentry = \"a.wasm\"\n";
        Manifest::parse(&format!("{head}{tables}"))
    };
    assert_eq!(asking(MAX_REQUESTS).unwrap().capabilities.len(), MAX_REQUESTS);
    let problems = asking(MAX_REQUESTS + 1).unwrap_err();
    assert!(problems[0].message.contains("128 capabilities at most"), "{}", problems[0]);
}
