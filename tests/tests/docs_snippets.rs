//! What the pages show to be copied works as it stands: manifests and configurations are read by
//! midimon's own readers, command lines are understood by its own command line, dependencies name
//! crates that are here. Rust is compiled and run by the documentation tests of `plugins/sdk` and
//! `plugins/wasm/abi`; other languages are not tried here.

use midimon::cli;
use midimon::mapping::config::load_text;
use midimon::plugins::Manifest;
use midimon_tests::pages::{self, Block, Page, code_spans};
use std::fs;

/// What makes a manifest of a part of one.
const MANIFEST: &str = "schema = 1\nid = \"example\"\nname = \"Example\"\nversion = \"1.0.0\"\nkind = \"native\"\n";
/// What makes a configuration of an action's parameters.
const ACTION: &str = "[[global_mappings]]\n[global_mappings.trigger]\ntype = \"Note\"\nnote = 1\n\
                      [global_mappings.action]\ntype = \"Plugin\"\nplugin = \"example\"\naction = \"example\"\n";

/// A signature's comment, which looks like a command.
const COMMENT: &str = "midimon plugin ID VERSION";

/// What a block of TOML is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `plugin.toml`, or a part of it.
    Manifest,
    /// `config.toml`, or a part of it.
    Configuration,
    /// `Cargo.toml`.
    Cargo,
}

fn kind(text: &str) -> Kind {
    let starts = |beginnings: &[&str]| text.lines().any(|line| beginnings.iter().any(|word| line.starts_with(word)));
    if starts(&["[dependencies]", "[package]"]) {
        Kind::Cargo
    } else if starts(&[
        "kind = ",
        "[[actions]]",
        "[[settings]]",
        "[[capabilities]]",
        "[[files]]",
        "[limits]",
        "[login]",
    ]) {
        Kind::Manifest
    } else {
        Kind::Configuration
    }
}

/// What midimon says against a block of TOML.
fn fault(text: &str) -> Option<String> {
    match kind(text) {
        Kind::Manifest => {
            let entry =
                if text.contains("[[files]]") { "entry = \"libhello.so\"\n" } else { "entry = \"example.so\"\n" };
            let whole = if text.contains("kind = ") { text.to_owned() } else { [MANIFEST, entry, text].concat() };
            Manifest::parse(&whole).err().map(|problems| format!("{problems:?}"))
        }
        Kind::Configuration => {
            let whole = if text.starts_with("params = ") { format!("{ACTION}{text}") } else { text.to_owned() };
            load_text("a page", &whole, &|_| true).err().map(|diagnostics| diagnostics.render(false))
        }
        Kind::Cargo => text.lines().filter(|line| !line.is_empty()).find_map(fault_of_cargo),
    }
}

/// What is wrong with a line of `Cargo.toml`: a library for plugins, whose dependencies are crates of this repository.
fn fault_of_cargo(line: &str) -> Option<String> {
    if matches!(line, "[lib]" | "crate-type = [\"cdylib\"]" | "[dependencies]") {
        return None;
    }
    let dependency = line.strip_suffix("\" }").and_then(|line| line.split_once(" = { "));
    let folder = dependency.and_then(|(_, from)| match from.split_once(" = \"")? {
        ("git", "https://github.com/midimon/midimon") => Some("plugins/sdk"),
        ("path", path) => path.strip_prefix("../midimon/"),
        _ => None,
    });
    let (Some((name, _)), Some(folder)) = (dependency, folder) else { return Some(format!("unknown: {line}")) };
    let manifest = fs::read_to_string(pages::root().join(folder).join("Cargo.toml")).unwrap_or_default();
    let is_there = manifest.lines().any(|line| line == format!("name = \"{name}\""));
    (!is_there).then(|| format!("{folder} has no crate '{name}'"))
}

#[test]
fn every_manifest_and_every_configuration_is_read_without_a_mistake() {
    // the controls: each reader reads, and each refuses
    assert_eq!(fault("[limits]\nmemory_mib = 32"), None);
    assert!(fault("[limits]\nmemory = 32").is_some_and(|fault| fault.contains("memory")));
    assert_eq!(fault("[plugins]\ndir = \"x\""), None);
    assert!(fault("[plugins]\ndirectory = \"x\"").is_some_and(|fault| fault.contains("directory")));

    assert_eq!(fault("[dependencies]\ncore-abi = { path = \"../midimon/plugins/wasm/abi\" }"), None);
    for bad in ["core-api = { path = \"../midimon/plugins/wasm/abi\" }", "core-abi = { path = \"../midimon\" }", "a b"]
    {
        assert!(fault(&format!("[dependencies]\n{bad}")).is_some(), "{bad}");
    }

    let mut counts = [0; 3];
    let mut faults = Vec::new();
    for page in pages::all() {
        for block in page.split().0.into_iter().filter(|block| block.language.as_deref() == Some("toml")) {
            let text = block.text.replace("{{id}}", "example");
            counts[kind(&text) as usize] += 1;
            faults.extend(fault(&text).map(|fault| format!("{}:{}: {fault}", page.name, block.line)));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(counts[0] >= 8 && counts[1] >= 30 && counts[2] >= 2, "{counts:?}");
}

/// A command's words as a shell makes them, without what it is piped into or redirected to.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote): (Vec<String>, Option<String>, Option<char>) = (Vec::new(), None, None);
    for char in line.chars() {
        match (quote, char) {
            (Some(open), _) if open == char => quote = None,
            (None, '\'' | '"') => {
                quote = Some(char);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | '>' | '<' | ';' | '&') => break,
            (None, _) if char.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    words
}

/// The commands of midimon in a line a shell could be given.
fn commands(line: &str) -> Vec<Vec<String>> {
    let line = line.trim().trim_start_matches("$ ");
    // in a pipe it comes second
    let parts = line.match_indices("| ").map(|(start, _)| &line[start + 2..]).chain([line]);
    parts.map(words).filter(|words| words.first().is_some_and(|word| is_midimon(word))).collect()
}

fn is_midimon(word: &str) -> bool {
    matches!(word, "midimon" | "target/release/midimon")
}

/// Something that is possible where a page has a word for people.
fn example(word: &str) -> String {
    let is_placeholder = word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_uppercase());
    match word {
        "CAPABILITY" => "filesystem".to_owned(),
        "CODE" => "MM0101".to_owned(),
        _ if is_placeholder => word.to_lowercase(),
        _ => word.replace("{{id}}", "example"),
    }
}

/// Why the command line does not understand this. In running text the rest may be missing.
fn misunderstood(words: &[String], may_be_short: bool) -> Option<String> {
    let error = cli::command().try_get_matches_from(words.iter().map(|word| example(word))).err()?;
    let kind = format!("{:?}", error.kind());
    let is_short = ["MissingRequiredArgument", "MissingSubcommand", "DisplayHelpOnMissingArgumentOrSubcommand"];
    let is_help = ["DisplayHelp", "DisplayVersion"].contains(&kind.as_str());
    let is_fine = is_help || (may_be_short && is_short.contains(&kind.as_str()));
    (!is_fine).then(|| error.to_string())
}

fn in_blocks(page: &Page) -> Vec<(usize, Vec<String>)> {
    let is_shell = |block: &Block| matches!(block.language.as_deref(), Some("sh" | "console") | None);
    let mut found = Vec::new();
    for block in page.split().0.into_iter().filter(is_shell) {
        for (index, line) in block.text.lines().enumerate() {
            if block.language.as_deref() != Some("console") || line.starts_with("$ ") {
                found.extend(commands(line).into_iter().map(|words| (block.line + index, words)));
            }
        }
    }
    found
}

#[test]
fn every_command_line_is_understood() {
    let ours = |line: &str| commands(line).pop().expect("a command");
    // the controls: whole and short, good and bad
    assert_eq!(misunderstood(&ours("$ midimon plugin call aa b --params 'c = \"d\"' # says"), false), None);
    assert_eq!(misunderstood(&ours("echo \"x 'y'\" | midimon plugin dev ."), false), None);
    assert!(misunderstood(&ours("midimon plugin call"), false).is_some());
    assert_eq!(misunderstood(&ours("midimon plugin call"), true), None);
    for bad in ["midimon plugin cal aa b", "midimon run --wach", "midimon stauts"] {
        assert!(misunderstood(&ours(bad), true).is_some(), "{bad}");
    }

    let (mut in_code, mut in_text, mut faults) = (0, 0, Vec::new());
    for page in pages::all() {
        for (line, words) in in_blocks(&page) {
            in_code += 1;
            faults
                .extend(misunderstood(&words, false).map(|fault| format!("{}:{line}: {words:?}: {fault}", page.name)));
        }
        for span in code_spans(&page.split().1).into_iter().filter(|span| span != COMMENT) {
            for words in commands(&span) {
                in_text += 1;
                faults.extend(misunderstood(&words, true).map(|fault| format!("{}: `{span}`: {fault}", page.name)));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(in_code >= 60 && in_text >= 60, "{in_code} and {in_text}");
}

#[test]
fn every_example_of_the_helps_is_understood() {
    let (mut count, mut faults, mut left) = (0, Vec::new(), vec![cli::command()]);
    while let Some(command) = left.pop() {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in help.lines().filter(|line| line.starts_with("  ")) {
            // what it does stands behind it, with some room between
            let example = line.trim().split("   ").next().unwrap_or_default();
            for words in commands(example) {
                count += 1;
                faults.extend(
                    misunderstood(&words, false).map(|fault| format!("{}: {example}: {fault}", command.get_name())),
                );
            }
        }
        left.extend(command.get_subcommands().cloned());
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(count >= 30, "{count}");
}

#[test]
fn every_block_of_code_says_what_it_is_in_and_rust_is_compiled() {
    const KNOWN: [&str; 8] = ["sh", "console", "text", "toml", "rust", "json", "js", "python"];
    let known = |block: &Block| block.language.as_deref().is_none_or(|language| KNOWN.contains(&language));
    // the controls: an indented block needs no word, a bare fence does
    let blocks = |text: &str| Page { name: String::new(), text: text.to_owned() }.split().0;
    assert!(known(&blocks("a\n\n    b\n")[0]) && known(&blocks("```sh\nb\n```\n")[0]));
    assert!(!known(&blocks("```\nb\n```\n")[0]) && !known(&blocks("```basic\nb\n```\n")[0]));
    let compiled =
        ["plugins/sdk/src/lib.rs", "plugins/wasm/abi/src/lib.rs"].map(|source| Page::read(source).text).concat();
    let mut rust = 0;
    for page in pages::all() {
        for block in page.split().0 {
            assert!(known(&block), "{}:{}: {:?}", page.name, block.line, block.language);
            if block.language.as_deref() == Some("rust") {
                rust += 1;
                let included = format!("../{}\")]", page.name);
                assert!(compiled.contains(&included), "no documentation test includes {}", page.name);
            }
        }
        assert!(!page.text.contains("```rust,ignore"), "{} has Rust that nobody compiles", page.name);
    }
    assert!(rust >= 8, "{rust}");
}
