//! The picture of the consent screen in the documentation is of the real one.
//!
//! `MIDIMON_WRITE_PICTURES=1 cargo test … --test consent_picture` draws it anew.

use midimon_tests::{Bed, Publisher, Terminal};
use std::fmt::Write;
use std::fs;
use std::path::Path;

const COLUMNS: u16 = 80;
const LINES: u16 = 24;

/// Four capabilities, one of them of high risk.
const REQUESTS: &str = r#"
[[capabilities]]
capability = "filesystem"
reason = "keeps your scene lists, so that they are there after a restart"

[[capabilities]]
capability = "network"
targets = ["api.example.org:443"]
reason = "looks up the names of games"

[[capabilities]]
capability = "midi"
targets = ["Launchpad Mini MK3"]
reason = "lights the pads in the colours of the scenes"

[[capabilities]]
capability = "input"
reason = "presses the hot-keys of programs that have no other interface"
"#;

#[test]
fn the_picture_in_the_documentation_is_the_real_screen_and_fits_80_by_24() {
    let (bed, publisher) = (Bed::new(), Publisher::known());
    let package = publisher.package("asking", "1.0.0", REQUESTS);
    let command = bed.command(&["plugin", "install", package.to_str().expect("UTF-8")]);
    let mut session = Terminal::new(COLUMNS, LINES).run(command);
    session.wait_for("under the name (Enter: \"").wait_for("\"): ").enter("Ada Lovelace");
    session.wait_for("[c]hoose: ").enter("y");
    session.wait_for("type the plugin's name, asking: ");
    let raw = session.raw();
    session.enter("");
    let (_, seen) = session.end();

    let lines: Vec<&str> = raw.lines().collect();
    assert!(lines.len() <= usize::from(LINES), "{} lines:\n{seen}", lines.len());
    let drawn = svg(&lines);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/consent.svg");
    if std::env::var_os("MIDIMON_WRITE_PICTURES").is_some() {
        fs::write(&path, &drawn).expect("the picture written");
    }
    let kept = fs::read_to_string(&path).expect("docs/consent.svg");
    assert!(kept == drawn, "{} is of another screen; see the top of this file. It should be\n{seen}", path.display());
}

/// A terminal's picture, with the colours midimon uses.
fn svg(lines: &[&str]) -> String {
    const WIDTH: f64 = 8.4;
    const HEIGHT: u32 = 18;
    let (width, height) = (WIDTH * f64::from(COLUMNS) + 24.0, HEIGHT * u32::from(LINES) + 24);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height}\" font-family=\"monospace\" \
         font-size=\"14\">\n<rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"#1c1c1c\"/>\n"
    );
    for (number, line) in (1_u32..).zip(lines) {
        let y = HEIGHT * number + 8;
        // a String takes everything
        let _ = write!(svg, "<text x=\"12\" y=\"{y}\" fill=\"#d0d0d0\" xml:space=\"preserve\">");
        let mut parts = line.split("\x1b[");
        svg.push_str(&escaped(parts.next().unwrap_or_default()));
        let mut open = false;
        for part in parts {
            let (code, text) = part.split_once('m').unwrap_or_default();
            if std::mem::take(&mut open) {
                svg.push_str("</tspan>");
            }
            if let Some(style) = style(code) {
                let _ = write!(svg, "<tspan {style}>");
                open = true;
            }
            svg.push_str(&escaped(text));
        }
        svg.push_str(if open { "</tspan></text>\n" } else { "</text>\n" });
    }
    svg + "</svg>\n"
}

fn style(code: &str) -> Option<&'static str> {
    Some(match code {
        "1" => "font-weight=\"bold\" fill=\"#ffffff\"",
        "2" => "fill=\"#9a9a9a\"",
        "31" => "fill=\"#ff6b6b\"",
        "32" => "fill=\"#7ec97e\"",
        "33" => "fill=\"#e5c07b\"",
        _ => return None,
    })
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
