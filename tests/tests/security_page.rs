//! What `docs/security.md` and `docs/abuses.md` say is held by a test is held by a test that exists, and every abuse
//! has its line.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Where tests are.
const SOURCES: [&str; 5] = ["shared/src", "worker", "supervisor", "plugins/sdk", "tests"];
/// The last number of the catalogue of abuses.
const LAST_ABUSE: usize = 107;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn page(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name)).expect("the page")
}

/// Whether it is spelled as the sentences that tests are called.
fn is_test_name(text: &str) -> bool {
    text.matches('_').count() >= 3 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// What stands in backquotes and is spelled as a test's name.
fn named(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2).filter(|text| is_test_name(text))
}

/// `fn NAME()`, and `NAME: case` in the tables of hostile and honest cases.
fn collect(directory: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).expect("a source directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file");
            let name = |line: &str| {
                let (name, _) = match line.trim_start().strip_prefix("fn ") {
                    Some(function) => function.split_once('(')?,
                    None => line.trim_start().split_once(':')?,
                };
                is_test_name(name).then(|| name.to_owned())
            };
            names.extend(text.lines().filter_map(name));
        }
    }
}

#[test]
fn every_test_the_security_page_names_is_there() {
    let mut names = BTreeSet::new();
    SOURCES.iter().for_each(|source| collect(&root().join(source), &mut names));
    // the controls: names are found both ways, and one that is nobody's is not
    assert!(names.contains("every_test_the_security_page_names_is_there"));
    assert!(names.contains("hostile_019_no_fork_and_the_plugin_lives_on"));
    assert!(!names.contains("a_test_that_is_not_there"));
    let page = page("security.md") + &page("abuses.md");
    let (found, missing): (Vec<_>, Vec<_>) = named(&page).partition(|name| names.contains(*name));
    assert!(missing.is_empty(), "the pages name tests that are not there: {missing:#?}");
    assert!(found.len() > 100, "{}", found.len());
}

#[test]
fn every_abuse_has_a_test_or_says_what_remains() {
    let page = page("abuses.md");
    let rows: Vec<(usize, &str)> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| "))
        .filter_map(|line| Some((line.split_once(" |")?.0.parse().ok()?, line)))
        .collect();
    let numbers: Vec<usize> = rows.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, (1..=LAST_ABUSE).collect::<Vec<_>>(), "one line for each abuse, in order");
    for (number, row) in rows {
        assert!(named(row).next().is_some() || row.contains("**residual**"), "{number}: {row}");
    }
}
