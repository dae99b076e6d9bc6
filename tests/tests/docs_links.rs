//! Every link of the pages leads somewhere, and every page is found.

use midimon_tests::pages::{self, Page, root};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Targets of `[text](target)` and `![text](target)`.
fn links(page: &Page) -> Vec<String> {
    let (_, text) = page.split();
    // what is in backquotes is no link
    let text: String = text.split('`').step_by(2).collect::<Vec<_>>().join("``");
    text.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
}

/// Without `.` and `..`; `None` where it leads out of the repository.
fn normal(path: &Path) -> Option<PathBuf> {
    let mut parts: Vec<&std::ffi::OsStr> = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name),
            Component::ParentDir => drop(parts.pop()?),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.into_iter().collect())
}

/// Why a link leads nowhere.
fn fault(page: &Page, target: &str) -> Option<String> {
    if let Some((scheme, rest)) = target.split_once("://") {
        let is_address = scheme == "https" && rest.contains('.') && !rest.contains(' ');
        return (!is_address).then(|| "no https address".to_owned());
    }
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let path = if path.is_empty() { PathBuf::from(&page.name) } else { page.folder().join(path) };
    let Some(path) = normal(&path) else { return Some("leads out of the repository".to_owned()) };
    if !root().join(&path).exists() {
        return Some(format!("there is no {}", path.display()));
    }
    let anchor = anchor?;
    let headings = Page::read(path.to_str()?).headings();
    let is_there = headings.iter().any(|(_, _, name)| name == anchor);
    (!is_there).then(|| format!("{} has no heading #{anchor}", path.display()))
}

#[test]
fn every_link_and_every_anchor_leads_somewhere() {
    // the controls: one of each kind of link, good and bad
    let control = Page { name: "docs/control.md".into(), text: String::new() };
    for good in
        ["plugins.md", "../README.md#licence", "permissions.md#networkhostport", "https://toml.io", "../plugins"]
    {
        assert_eq!(fault(&control, good), None, "{good}");
    }
    for bad in ["plugin.md", "plugins.md#nowhere", "#here", "../../outside", "http://toml.io", "/etc/passwd"] {
        assert!(fault(&Page::read("docs/plugins.md"), bad).is_some(), "{bad}");
    }
    let mut count = 0;
    let mut faults = Vec::new();
    for page in pages::all() {
        for target in links(&page) {
            count += 1;
            faults.extend(fault(&page, &target).map(|fault| format!("{}: ({target}): {fault}", page.name)));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(count > 100, "{count} links");
}

#[test]
fn every_page_is_in_the_list_of_pages() {
    let index = Page::read("docs/index.md");
    let listed: BTreeSet<String> = links(&index).into_iter().collect();
    let pages = pages::all();
    let pages: Vec<&str> = pages.iter().filter_map(|page| page.name.strip_prefix("docs/")).collect();
    assert!(pages.len() > 15, "{pages:?}");
    let missing: Vec<&&str> = pages.iter().filter(|page| **page != "index.md" && !listed.contains(**page)).collect();
    assert!(missing.is_empty(), "docs/index.md does not list {missing:?}");
}

/// `docs/….md` in a source's text, but for other repositories' in addresses.
fn named_pages(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("docs/").filter(|(start, _)| !text[..*start].ends_with('/')).filter_map(|(start, _)| {
        let end = text[start..].find(|char: char| !char.is_ascii_alphanumeric() && !"/-_.".contains(char));
        let name = text[start..].get(..end.unwrap_or(text.len() - start))?;
        Some(&name[..name.find(".md")? + 3])
    })
}

fn look(folder: &Path, found: &mut usize, faults: &mut Vec<String>) {
    for entry in fs::read_dir(root().join(folder)).expect("a folder").map(|entry| entry.expect("an entry")) {
        let path = folder.join(entry.file_name());
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        match entry.file_type().expect("its type") {
            kind if kind.is_dir() && !["target", "node_modules", ".venv"].iter().any(|name| path.ends_with(name)) => {
                look(&path, found, faults);
            }
            kind if kind.is_file() && ["rs", "h", "wit", "toml", "in", "md", "js", "py"].contains(&extension) => {
                let text = fs::read(root().join(&path)).expect("a source");
                for name in named_pages(&String::from_utf8_lossy(&text)) {
                    *found += 1;
                    if !root().join(name).exists() {
                        faults.push(format!("{}: {name}", path.display()));
                    }
                }
            }
            _ => {}
        }
    }
}

#[test]
fn every_page_that_sources_name_is_there() {
    let control = "see docs/a.md, https://x.org/docs/b.md and (docs/c/d-e.md).";
    assert_eq!(named_pages(control).collect::<Vec<_>>(), ["docs/a.md", "docs/c/d-e.md"]);
    let (mut found, mut faults) = (0, Vec::new());
    for folder in ["shared", "worker", "supervisor", "plugins", "tests/tests", "tests/src", "contrib"] {
        look(Path::new(folder), &mut found, &mut faults);
    }
    // the controls of this file are none of the project's pages
    faults.retain(|fault| !fault.starts_with("tests/tests/docs_links.rs"));
    assert!(faults.is_empty(), "pages that are not there: {faults:#?}");
    assert!(found > 10, "{found}");
}
