//! The consent screen: who made it, what it may do, in midimon's words. Pure.
//!
//! Whatever the package says of itself stands in quotation marks and is said to be
//! its claim. Targets are never cut; claims are, so that the whole fits the terminal.

use crate::cli::output::{Colour, Look};
use crate::cli::safe_text::{quoted, safe_text};
use crate::plugins::install::plan::{Change, Item, Known, Login, Plan, Signer, State, Wanted};
use crate::plugins::install::words::{self, Risk};
use crate::workers::status::PluginKind;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Where the text of an item begins.
const INDENT: usize = 12;
/// Narrowest and widest a screen is laid out for.
const WIDTHS: std::ops::RangeInclusive<usize> = 40..=100;
/// Lines a claim takes at most, however high the terminal is.
const CLAIM_LINES: usize = 4;
/// Capabilities of each kind that were agreed to or refused before and are still told one by one.
const LISTED: usize = 4;

/// The screen, at most `height` lines where claims can be cut so far.
#[must_use]
pub fn screen(plan: &Plan, look: &Look, height: usize) -> String {
    let look = &Look { width: look.width.clamp(*WIDTHS.start(), *WIDTHS.end()), ..*look };
    // as much of the claims as there is room for
    let with = |claim_lines| Screen { look, claim_lines, lines: Vec::new() }.whole(plan);
    let fitting = (1..=CLAIM_LINES).rev().map(with).find(|lines| lines.len() <= height);
    let lines = fitting.unwrap_or_else(|| with(1));
    lines.iter().fold(String::new(), |text, line| text + line + "\n")
}

struct Screen<'l> {
    look: &'l Look,
    claim_lines: usize,
    lines: Vec<String>,
}

impl Screen<'_> {
    fn whole(mut self, plan: &Plan) -> Vec<String> {
        self.title(plan);
        self.signer(plan);
        self.lines.push(String::new());
        let (new, known): (Vec<&Item>, Vec<&Item>) = plan.items.iter().partition(|item| item.state == State::New);
        let is_first = plan.change == Change::Install;
        let (high, other): (Vec<&Item>, Vec<&Item>) = new.iter().partition(|item| item.risk == Risk::High);
        let login = plan.new_login();
        let heading = match (is_first, new.len() + usize::from(login.is_some())) {
            (true, 0) => "It asks for nothing: it can compute, and write its log.",
            (true, _) => "It asks to do this, and can do nothing else:",
            (false, 0) => "It asks for nothing that you were not asked before.",
            (false, _) => "NEW: it asks to do this too, and cannot until you allow it:",
        };
        // what is new stands last, next to the question, however much was agreed to before
        self.known(&known, plan);
        self.lines.push(self.look.paint(if is_first { Colour::Strong } else { Colour::Notice }, heading));
        self.items(&other, !is_first);
        if let Some(login) = login {
            self.login(login, !is_first);
        }
        if !high.is_empty() {
            self.lines.push(self.look.paint(Colour::Bad, "HIGH RISK:"));
            self.items(&high, true);
        }
        self.lines
    }

    fn title(&mut self, plan: &Plan) {
        let what = match &plan.change {
            Change::Install => format!("Install {} {}", plan.id, plan.version),
            Change::Update { from } => format!("Update {} {from} to {}", plan.id, plan.version),
            Change::Downgrade { from } => format!("Go back with {} from {from} to {}", plan.id, plan.version),
            Change::Again => format!("Install {} {} again", plan.id, plan.version),
        };
        let kind = match plan.kind {
            PluginKind::Native => "native plugin",
            PluginKind::Wasm => "WASM plugin",
        };
        self.lines.push(format!("{} ({kind})", self.look.paint(Colour::Strong, &what)));
        let mut claim = plan.name.clone();
        if !plan.authors.is_empty() {
            claim += &format!(" by {}", plan.authors.join(", "));
        }
        if !plan.description.is_empty() {
            claim += &format!(": {}", plan.description);
        }
        self.field("Calls itself", &quoted(&claim), None);
    }

    fn signer(&mut self, plan: &Plan) {
        match &plan.signer {
            Signer::Nobody => {
                let text = "nobody. Anyone may have made or changed it. It stays marked as unsigned.";
                self.field("Signed by", text, Some(Colour::Bad));
                if plan.takes_over {
                    let text = "the data and settings of the plugin of this name that is or was here, passwords too, \
                                whoever made that one.";
                    self.field("It gets", text, Some(Colour::Bad));
                }
            }
            Signer::Key(key, known) => {
                let (text, colour) = match known {
                    Known::Trusted { name, since } => {
                        (format!("{}, trusted since {since}", quoted(name)), Colour::Good)
                    }
                    Known::New => (
                        "a key never seen here. Compare its fingerprint with the publisher's.".to_owned(),
                        Colour::Notice,
                    ),
                };
                self.field("Signed by", &text, Some(colour));
                self.field("Fingerprint", &key.fingerprint().to_string(), Some(Colour::Strong));
            }
        }
    }

    /// A name and a text; a claim where there is no colour.
    fn field(&mut self, name: &str, text: &str, colour: Option<Colour>) {
        let lines = wrap(text, self.look.width - INDENT - 1);
        let lines = if colour.is_none() { cut(lines, self.claim_lines.min(2)) } else { lines };
        for (index, line) in lines.iter().enumerate() {
            let line = colour.map_or_else(|| line.clone(), |colour| self.look.paint(colour, line));
            let name = if index == 0 { name } else { "" };
            self.lines.push(format!("{name:<width$} {line}", width = INDENT));
        }
    }

    fn items(&mut self, items: &[&Item], emphasised: bool) {
        for (index, item) in items.iter().enumerate() {
            self.item(item, emphasised);
            // several targets of one request share its reason
            let same = |next: &&Item| next.wanted.kind() == item.wanted.kind() && next.reason == item.reason;
            if !items.get(index + 1).is_some_and(same) {
                self.claim(&item.reason);
            }
        }
    }

    fn claim(&mut self, reason: &str) {
        let lines = wrap(&format!("It says: {}", quoted(reason)), self.look.width - INDENT - 1);
        for line in cut(lines, self.claim_lines) {
            self.lines.push(format!("{:INDENT$} {}", "", self.look.paint(Colour::Faint, &line)));
        }
    }

    fn login(&mut self, login: &Login, emphasised: bool) {
        self.sentence("Login", &words::login(&login.target), emphasised.then_some(Colour::Strong));
        self.claim(&login.reason);
    }

    fn item(&mut self, item: &Item, emphasised: bool) {
        let label = words::label(item.wanted.kind());
        let sentence = match &item.wanted {
            Wanted::Fixed(capability) => words::sentence(capability),
            Wanted::Typed { kind, .. } => words::sentence_for_ask(*kind).to_owned(),
        };
        let colour = match item.risk {
            Risk::High => Some(Colour::Bad),
            _ if emphasised => Some(Colour::Strong),
            _ => None,
        };
        self.sentence(label, &sentence, colour);
    }

    /// What it may do, never cut.
    fn sentence(&mut self, label: &str, sentence: &str, colour: Option<Colour>) {
        let width = self.look.width - INDENT - 1;
        for (index, line) in wrap(&safe_text(sentence), width).iter().enumerate() {
            let name = if index == 0 { label } else { "" };
            let name = format!("  {name:<width$}", width = INDENT - 2);
            let paint = |text: &str| colour.map_or_else(|| text.to_owned(), |colour| self.look.paint(colour, text));
            self.lines.push(format!("{} {}", paint(&name), paint(line)));
        }
    }

    /// What stays as it is, in a line or two each.
    fn known(&mut self, known: &[&Item], plan: &Plan) {
        let mut list = |name: &str, texts: Vec<String>| {
            if texts.is_empty() {
                return;
            }
            let more = texts.len().saturating_sub(LISTED);
            let mut text = texts[..texts.len() - more].join(", ");
            if more > 0 {
                text += &format!(" and {more} more; `midimon plugin info {}` lists all", plan.id);
            }
            self.field(name, &safe_text(&text), Some(Colour::Faint));
        };
        let allowed = |item: &&Item| match &item.state {
            State::Allowed(capability) => Some(capability.to_string()),
            State::New | State::Denied => None,
        };
        let denied = |item: &&Item| match (&item.state, &item.wanted) {
            (State::Denied, Wanted::Fixed(capability)) => Some(capability.to_string()),
            (State::Denied, Wanted::Typed { kind, .. }) => Some(format!("{kind} (none typed)")),
            _ => None,
        };
        list("Allowed", known.iter().filter_map(allowed).collect());
        list("Denied", known.iter().filter_map(denied).collect());
        list("Dropped", plan.dropped.iter().map(ToString::to_string).collect());
    }
}

/// Breaks at spaces, or within a word that is longer than a line. Nothing is lost but
/// the spaces at breaks.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ') {
        let gap = usize::from(used > 0);
        if used > 0 && used + gap + word.width() > width {
            lines.push(String::new());
            used = 0;
        } else if gap > 0 {
            push(&mut lines, " ");
            used += 1;
        }
        for character in word.chars() {
            let wide = character.width().unwrap_or(0);
            if used + wide > width {
                lines.push(String::new());
                used = 0;
            }
            push(&mut lines, character.encode_utf8(&mut [0; 4]));
            used += wide;
        }
    }
    lines
}

fn push(lines: &mut [String], text: &str) {
    if let Some(line) = lines.last_mut() {
        line.push_str(text);
    }
}

/// The first lines, with an end that shows there is more; quotation marks stay closed.
fn cut(mut lines: Vec<String>, most: usize) -> Vec<String> {
    if lines.len() <= most {
        return lines;
    }
    lines.truncate(most.max(1));
    if let Some(last) = lines.last_mut() {
        let keep = last.chars().count().saturating_sub(4);
        *last = last.chars().take(keep).collect::<String>().trim_end().to_owned() + " …\"";
    }
    lines
}

#[cfg(test)]
#[path = "screen_tests.rs"]
mod tests;
