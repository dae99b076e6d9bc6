//! The reference for users says what is so.

use super::load;

const REFERENCE: &str = include_str!("../../../../docs/configuration.md");

/// The reference's examples, each with the line it starts in.
fn examples() -> Vec<(usize, String)> {
    let mut examples = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in REFERENCE.lines().enumerate() {
        match (&mut open, line.trim()) {
            (None, "```toml") => open = Some((number + 1, String::new())),
            (Some(_), "```") => examples.extend(open.take()),
            (Some((_, text)), _) => *text += &format!("{line}\n"),
            (None, _) => {}
        }
    }
    examples
}

#[test]
fn every_example_of_the_reference_is_a_configuration_without_errors_or_warnings() {
    let examples = examples();
    assert!(examples.len() >= 10, "{} examples", examples.len());
    for (line, text) in examples {
        let said = match load(&text) {
            Ok(loaded) if loaded.warnings.count(crate::mapping::config::Severity::Warning) == 0 => continue,
            Ok(loaded) => loaded.warnings.render(false),
            Err(diagnostics) => diagnostics.render(false),
        };
        panic!("docs/configuration.md, line {line}:\n{said}");
    }
}

#[test]
fn every_code_is_listed_in_the_reference() {
    for code in crate::mapping::config::Code::ALL {
        assert!(REFERENCE.contains(code.as_str()), "{}", code.as_str());
    }
}
