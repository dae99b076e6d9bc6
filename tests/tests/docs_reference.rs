//! The reference pages name what is there, all of it, and nothing else: each function of the WIT,
//! of the C header's tables and of the SDK, and what the consent prompt says of each capability.

use midimon::plugins::install::plan::LoginTarget;
use midimon::plugins::install::words;
use midimon_shared::Capability;
use midimon_shared::capability::CapabilityKind;
use midimon_tests::pages::{Page, code_spans, root};
use std::collections::BTreeSet;
use std::fs;

type Names = BTreeSet<String>;

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn word(text: &str) -> String {
    text.chars().take_while(|char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-')).collect()
}

/// The functions a section has a row for: the names in front of `(` in the first column.
fn rows(page: &Page, heading: &str) -> Names {
    let section = page.section(heading);
    let (own, _) = section.split_once("\n#").unwrap_or((&section, ""));
    let cells = own.lines().filter_map(|line| line.strip_prefix("| `")?.split_once(" |")).map(|(cell, _)| cell);
    let spans = cells.flat_map(|cell| code_spans(&format!("`{cell}")));
    spans.filter_map(|span| Some(span.split_once('(')?.0.to_owned())).collect()
}

#[track_caller]
fn assert_same(what: &str, there: &Names, told: &Names) {
    let missing: Vec<_> = there.difference(told).collect();
    let invented: Vec<_> = told.difference(there).collect();
    assert!(missing.is_empty() && invented.is_empty(), "{what}: not told {missing:?}, not there {invented:?}");
}

/// The interfaces of the WIT with their functions, those of resources as `resource.function`, and all types.
fn wit() -> (Vec<(String, Names)>, Names) {
    let (mut interfaces, mut types): (Vec<(String, Names)>, Names) = (Vec::new(), Names::new());
    for file in fs::read_dir(root().join("plugins/wit")).expect("the WIT") {
        let file = fs::read_to_string(file.expect("a file").path()).expect("a file of the WIT");
        let mut resource: Option<String> = None;
        for line in file.lines().map(str::trim_end) {
            let (indent, code) = (line.len() - line.trim_start().len(), line.trim_start());
            if let Some(name) = code.strip_prefix("interface ") {
                interfaces.push((word(name), Names::new()));
            }
            for kind in ["record ", "enum ", "variant ", "resource ", "flags ", "type "] {
                types.extend(code.strip_prefix(kind).map(word));
            }
            match code.strip_prefix("resource ") {
                Some(name) => resource = Some(word(name)),
                None if indent == 4 && code == "}" => resource = None,
                None => {}
            }
            let is_function = code.split_once(": ").is_some_and(|(_, rest)| {
                rest.starts_with("func(") || rest.starts_with("static func(") || rest.starts_with("async func(")
            });
            if let (true, Some((_, functions))) = (is_function && !code.starts_with('/'), interfaces.last_mut()) {
                let name = word(code);
                functions.insert(resource.as_ref().map_or(name.clone(), |resource| format!("{resource}.{name}")));
            }
        }
    }
    interfaces.retain(|(_, functions)| !functions.is_empty());
    (interfaces, types)
}

#[test]
fn the_wit_page_has_each_function_and_each_type_and_no_others() {
    let page = Page::read("docs/plugin-reference/wit.md");
    let (interfaces, types) = wit();
    assert!(interfaces.len() >= 12, "{interfaces:?}");
    let all: usize = interfaces.iter().map(|(_, functions)| functions.len()).sum();
    assert!(all >= 29, "{all}");
    for (interface, functions) in &interfaces {
        assert_same(&format!("interface {interface}"), functions, &rows(&page, &format!("`{interface}`")));
    }
    let told = page.headings().into_iter().filter(|(depth, ..)| *depth == 3);
    let told: Names = told.map(|(_, text, _)| text.trim_matches('`').to_owned()).collect();
    assert_same("interfaces", &interfaces.into_iter().map(|(name, _)| name).collect(), &told);
    let section = page.section("Types");
    let cells = section.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0.to_owned()));
    assert_same("types", &types, &cells.collect());
}

/// The function pointers of a struct of the header.
fn c_functions(header: &str, name: &str) -> Names {
    let start = header.find(&format!("struct {name} {{")).unwrap_or_else(|| panic!("no struct {name}"));
    let body = header[start..].split_once("\n}").expect("its end").0;
    body.split("(*").skip(1).map(word).filter(|name| !name.is_empty()).collect()
}

/// Words with this beginning.
fn c_names(text: &str, beginning: &str) -> Names {
    let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_';
    text.split(|char| !is_part(char)).filter(|word| word.starts_with(beginning)).map(str::to_owned).collect()
}

#[test]
fn the_c_page_has_each_function_structure_and_constant_and_no_others() {
    let page = Page::read("docs/plugin-reference/c-abi.md");
    let header = read("plugins/sdk/include/midimon_plugin.h");
    for table in ["midimon_plugin", "midimon_host"] {
        let functions = c_functions(&header, table);
        assert!(functions.len() >= 4, "{functions:?}");
        assert_same(table, &functions, &rows(&page, &format!("`{table}`")));
    }
    // a star for families, and what only holds the header together
    let constants = |text: &str| -> Names {
        let ours = c_names(text, "MIDIMON_").into_iter();
        ours.filter(|name| !name.ends_with('_') && name != "MIDIMON_PLUGIN_H").collect()
    };
    assert!(constants(&header).len() > 35);
    assert_same("constants", &constants(&header), &constants(&page.text));
    let structures = |text: &str| -> Names {
        c_names(text, "midimon_").into_iter().filter(|name| !["midimon_plugin_v1"].contains(&name.as_str())).collect()
    };
    let declared: Names = header
        .split("struct midimon_")
        .skip(1)
        .map(|rest| format!("midimon_{}", word(rest)))
        .chain(["midimon_host".to_owned()])
        .collect();
    assert_same("structures", &declared, &structures(&page.text));
}

/// The public functions of a type, or a trait's functions, in the files of a crate.
fn rust_functions(files: &[&str], name: &str) -> Names {
    let (mut functions, mut within, mut is_trait) = (Names::new(), false, false);
    for line in files.iter().map(|file| read(file)).collect::<Vec<_>>().join("\n").lines() {
        let is_head = (line.starts_with("impl") && !line.contains(" for ")) || line.starts_with("pub trait ");
        match line {
            "}" => within = false,
            _ if is_head => {
                let mut words = line.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
                within = words.any(|word| word == name);
                is_trait = line.starts_with("pub trait ");
            }
            _ if within => {
                let code = line.strip_prefix("    ").unwrap_or_default();
                let code = if is_trait { Some(code) } else { code.strip_prefix("pub ") };
                let code = code.map(|code| code.strip_prefix("const ").unwrap_or(code));
                functions.extend(code.and_then(|code| code.strip_prefix("fn ")).map(word));
            }
            _ => {}
        }
    }
    functions
}

#[test]
fn the_sdk_pages_have_each_public_function_and_no_others() {
    let sdk = |name: &str| format!("plugins/sdk/src/{name}");
    let (call, message) = (sdk("call.rs"), sdk("http/message.rs"));
    let (lib, host, error, http) = (sdk("lib.rs"), sdk("host.rs"), sdk("error.rs"), sdk("http/mod.rs"));
    let outcome = sdk("outcome.rs");
    let (params, connection) = (sdk("params/mod.rs"), sdk("connection.rs"));
    let (driver, sandbox, setup) = (sdk("test/driver.rs"), sdk("test/sandbox.rs"), sdk("test/setup.rs"));
    let (reference, testing) = ("docs/plugin-reference/sdk.md", "docs/plugin-reference/testing.md");
    for (page, heading, file, least) in [
        (reference, "Plugin", &lib, 4),
        (reference, "Host", &host, 20),
        (reference, "Params", &params, 6),
        (reference, "Context", &call, 5),
        (reference, "Outcome", &outcome, 8),
        (reference, "Error", &error, 5),
        (reference, "Connection", &connection, 2),
        (reference, "http::Client", &http, 2),
        (reference, "http::Request", &message, 12),
        (reference, "http::Response", &message, 6),
        (testing, "Driver", &driver, 7),
        (testing, "Call", &driver, 8),
        (testing, "Setup", &setup, 6),
        (testing, "Sandbox", &sandbox, 7),
    ] {
        let name = heading.rsplit("::").next().unwrap_or(heading);
        let functions = rust_functions(&[file], name);
        assert!(functions.len() >= least, "{heading}: {functions:?}");
        assert_same(heading, &functions, &rows(&Page::read(page), &format!("`{heading}`")));
    }
}

#[test]
fn the_permissions_page_has_each_capability_in_the_prompts_words() {
    let page = Page::read("docs/permissions.md");
    let section = page.section("The capabilities");
    let quoted: Names = section.lines().filter_map(|line| line.strip_prefix("> ")).map(str::to_owned).collect();
    let examples = [
        "filesystem",
        "network:example.org:443",
        "network:udp:192.168.1.9:9000",
        "network:192.168.1.7:4455",
        "network:localhost:4455",
        "midi:Synth",
        "subprocess:playerctl",
        "input",
        "system-control",
        "mode",
        "audio",
    ];
    let capabilities = examples.map(|text| text.parse::<Capability>().expect("a capability"));
    let login = LoginTarget {
        authorize_host: "accounts.spotify.com".into(),
        token_host: "accounts.spotify.com".into(),
        scopes: ["user-modify-playback-state".to_owned()].into(),
    };
    let prompts = capabilities.iter().map(words::sentence).chain([words::login(&login)]).collect();
    assert_same("sentences", &prompts, &quoted);
    let headings = page.headings();
    for kind in CapabilityKind::ALL {
        assert!(capabilities.iter().any(|capability| capability.kind == kind), "{kind}");
        let is_told = headings.iter().any(|(_, text, _)| word(text.trim_start_matches('`')) == kind.as_str());
        assert!(is_told, "{kind} has no heading");
        let is_high = |capability: &Capability| words::risk(capability) == words::Risk::High;
        if capabilities.iter().all(|capability| capability.kind != kind || is_high(capability)) {
            assert!(page.section(&heading(&page, kind)).contains("**High risk.**"), "{kind} is of high risk");
        }
    }
}

fn heading(page: &Page, kind: CapabilityKind) -> String {
    let headings = page.headings().into_iter().map(|(_, text, _)| text);
    headings.into_iter().find(|text| word(text.trim_start_matches('`')) == kind.as_str()).expect("a heading")
}
