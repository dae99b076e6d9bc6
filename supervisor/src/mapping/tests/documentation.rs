//! What users are shown is a configuration that works.

use super::load;
use crate::mapping::config::{Code, Severity};

const REFERENCE: &str = include_str!("../../../../docs/configuration.md");
const ACTIONS: &str = include_str!("../../../../docs/actions.md");
const README: &str = include_str!("../../../../README.md");
const DEMO: &str = include_str!("../../../../contrib/demo/config.toml");

/// The examples of a text, each with the line it starts in.
fn examples(text: &str) -> Vec<(usize, String)> {
    let mut examples = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in text.lines().enumerate() {
        match (&mut open, line.trim()) {
            (None, "```toml") => open = Some((number + 1, String::new())),
            (Some(_), "```") => examples.extend(open.take()),
            (Some((_, text)), _) => *text += &format!("{line}\n"),
            (None, _) => {}
        }
    }
    examples
}

#[track_caller]
fn assert_clean(what: &str, text: &str) {
    let said = match load(text) {
        Ok(loaded) if loaded.warnings.count(Severity::Warning) == 0 => return,
        Ok(loaded) => loaded.warnings.render(false),
        Err(diagnostics) => diagnostics.render(false),
    };
    panic!("{what}:\n{said}");
}

#[test]
fn every_example_is_a_configuration_without_errors_or_warnings() {
    let pages = [("docs/configuration.md", REFERENCE, 10), ("docs/actions.md", ACTIONS, 6), ("README.md", README, 1)];
    for (file, text, least) in pages {
        let examples = examples(text);
        assert!(examples.len() >= least, "{file}: {} examples", examples.len());
        for (line, text) in examples {
            assert_clean(&format!("{file}, line {line}"), &text);
        }
    }
}

#[test]
fn the_demo_has_no_errors_or_warnings() {
    assert_clean("contrib/demo/config.toml", DEMO);
}

#[test]
fn every_code_is_listed_in_the_reference() {
    for code in Code::ALL {
        assert!(REFERENCE.contains(code.as_str()), "{}", code.as_str());
    }
}
