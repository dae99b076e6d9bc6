//! The repository's pages of Markdown, as far as tests look into them.

use std::fs;
use std::path::{Path, PathBuf};

/// A page.
#[derive(Clone, Debug)]
pub struct Page {
    /// From the repository's root.
    pub name: String,
    /// What it says.
    pub text: String,
}

/// A block of code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The line it begins in, from 1.
    pub line: usize,
    /// The word behind the fence, which may be empty; `None` for an indented block.
    pub language: Option<String>,
    /// What is in it.
    pub text: String,
}

/// The repository's root.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The README, all of `docs`, and what lies beside plugins, in the order of their names.
///
/// # Panics
/// A page cannot be read.
#[must_use]
pub fn all() -> Vec<Page> {
    let mut names = vec!["README.md".to_owned(), "CHANGELOG.md".to_owned()];
    ["docs", "plugins"].into_iter().for_each(|folder| collect(Path::new(folder), &mut names));
    names.sort();
    names.into_iter().map(|name| Page::read(&name)).collect()
}

fn collect(folder: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(root().join(folder)).expect("a folder").map(|entry| entry.expect("an entry")) {
        let path = folder.join(entry.file_name());
        let is_foreign = ["node_modules", "target", "venv", ".venv"].iter().any(|name| path.ends_with(name));
        match entry.file_type().expect("its type") {
            kind if kind.is_dir() && !is_foreign => collect(&path, names),
            kind if kind.is_file() && path.extension().is_some_and(|extension| extension == "md") => {
                names.push(path.to_str().expect("a name").to_owned());
            }
            _ => {}
        }
    }
}

impl Page {
    /// The page of this name.
    ///
    /// # Panics
    /// It is not there.
    #[must_use]
    pub fn read(name: &str) -> Self {
        let text = fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { name: name.to_owned(), text }
    }

    /// The folder it lies in.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        Path::new(&self.name).parent().map(Path::to_path_buf).unwrap_or_default()
    }

    /// The blocks of code, and the rest with empty lines in their place.
    #[must_use]
    pub fn split(&self) -> (Vec<Block>, String) {
        let mut blocks: Vec<Block> = Vec::new();
        let (mut rest, mut after_blank) = (String::new(), true);
        let (mut is_fenced, mut is_indented) = (false, false);
        for (index, line) in self.text.lines().enumerate() {
            let kept = match (is_fenced, line.trim_start().strip_prefix("```")) {
                (false, Some(language)) => {
                    is_fenced = true;
                    let language = language.split(',').next().map(str::to_owned);
                    blocks.push(Block { line: index + 1, language, text: String::new() });
                    ""
                }
                (true, _) => {
                    if line.trim() == "```" {
                        is_fenced = false;
                    } else if let Some(block) = blocks.last_mut() {
                        block.text += &format!("{line}\n");
                    }
                    ""
                }
                (false, None) if line.starts_with("    ") && (after_blank || is_indented) => {
                    if !is_indented {
                        blocks.push(Block { line: index + 1, language: None, text: String::new() });
                    }
                    is_indented = true;
                    if let Some(block) = blocks.last_mut() {
                        block.text += &format!("{}\n", &line[4..]);
                    }
                    ""
                }
                (false, None) => {
                    is_indented = is_indented && line.trim().is_empty();
                    line
                }
            };
            after_blank = line.trim().is_empty();
            rest += &format!("{kept}\n");
        }
        (blocks, rest)
    }

    /// The headings, with how deep they are and what GitHub calls them in links.
    #[must_use]
    pub fn headings(&self) -> Vec<(usize, String, String)> {
        let (_, rest) = self.split();
        let mut seen: Vec<String> = Vec::new();
        let headings = rest.lines().filter_map(|line| {
            let text = line.trim_start_matches('#');
            let depth = line.len() - text.len();
            (depth > 0).then(|| text.strip_prefix(' ').map(|text| (depth, text.trim().to_owned()))).flatten()
        });
        let mut named = Vec::new();
        for (depth, text) in headings {
            let slug = slug(&text);
            let times = seen.iter().filter(|earlier| **earlier == slug).count();
            let anchor = if times == 0 { slug.clone() } else { format!("{slug}-{times}") };
            seen.push(slug);
            named.push((depth, text, anchor));
        }
        named
    }

    /// What stands below a heading, up to the next one that is no deeper.
    ///
    /// # Panics
    /// There is no such heading.
    #[must_use]
    pub fn section(&self, heading: &str) -> String {
        let mut depth = 0;
        let mut section = String::new();
        let mut is_code = false;
        for line in self.text.lines() {
            is_code ^= line.starts_with("```");
            let text = line.trim_start_matches('#');
            let found = line.len() - text.len();
            match (!is_code && found > 0 && text.starts_with(' '), depth) {
                (true, 0) if text.trim() == heading => depth = found,
                (true, within) if within > 0 && found <= within => return section,
                (_, 0) => {}
                _ => section += &format!("{line}\n"),
            }
        }
        assert!(depth > 0, "{} has no heading '{heading}'", self.name);
        section
    }
}

/// As GitHub makes an anchor of a heading.
fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|char| char.is_alphanumeric() || matches!(char, ' ' | '-' | '_'));
    kept.map(|char| if char == ' ' { '-' } else { char }).flat_map(char::to_lowercase).collect()
}

/// What stands in single backquotes, with its line breaks as spaces.
#[must_use]
pub fn code_spans(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(|span| span.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}
