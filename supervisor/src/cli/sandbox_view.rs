//! A worker's sandbox: one word in tables, layer by layer in `worker inspect`.

use super::output::{Colour, Look};
use super::safe_text::safe_text;
use super::table::Cell;
use crate::workers::status::WorkerStatus;
use midimon_shared::sandbox::{LayerReport, LayerState, MAX_DETAIL, SandboxLevel};

/// What stands out wherever a plugin is shown that is not held back.
const REPORT_ONLY: &str = "REPORT ONLY: forbidden calls fail with EPERM instead of ending it";

/// The level's word; a dash where there is no process to speak of.
pub(super) fn cell(worker: &WorkerStatus) -> Cell {
    match worker.pid {
        None => Cell::new("-", Colour::Faint),
        Some(_) => Cell::new(worker.sandbox.to_string(), level_colour(worker.sandbox)),
    }
}

/// What to say below the table.
pub(super) fn notes(worker: &WorkerStatus, look: &Look) -> Vec<String> {
    let mut notes = Vec::new();
    if worker.report_only {
        notes.push(look.paint(Colour::Bad, REPORT_ONLY));
    }
    if worker.pid.is_some() && worker.sandbox <= SandboxLevel::Degraded {
        let lacks = worker.layers.iter().filter(|report| report.layer.is_baseline());
        let lacks = lacks.filter(|report| report.state == LayerState::Unavailable);
        let lacks: Vec<String> = lacks.map(|report| format!("{} ({})", report.layer, detail(report))).collect();
        if !lacks.is_empty() {
            let text = format!("runs without {}, since `allow_degraded` says so", lacks.join(", "));
            notes.push(look.paint(Colour::Bad, &text));
        }
    }
    if let Some(last) = &worker.last_violation {
        notes.push(format!("violations: {}, the last: {}", worker.violations, safe_text(last)));
    }
    notes
}

/// Name and value of each line of the section in `worker inspect`.
pub(super) fn rows(worker: &WorkerStatus, look: &Look) -> Vec<(&'static str, String)> {
    let level = look.paint(level_colour(worker.sandbox), &worker.sandbox.to_string());
    let mut rows = vec![("level", level)];
    if worker.report_only {
        rows.push(("", look.paint(Colour::Bad, REPORT_ONLY)));
    }
    if worker.allow_degraded {
        rows.push(("allow_degraded", look.paint(Colour::Notice, "yes: it may run where a layer is missing")));
    }
    rows.extend(worker.layers.iter().map(|report| (report.layer.as_str(), layer(report, look))));
    rows.push(("violations", worker.violations.to_string()));
    rows.extend(worker.last_violation.iter().map(|last| ("last violation", safe_text(last).into_owned())));
    rows
}

/// A line for each layer.
pub(super) fn layers(layers: &[LayerReport], look: &Look) -> String {
    layers.iter().map(|report| format!("  {:<16} {}\n", report.layer, layer(report, look))).collect()
}

fn layer(report: &LayerReport, look: &Look) -> String {
    let colour = match report.state {
        LayerState::Active => Colour::Good,
        LayerState::Unavailable if report.layer.is_baseline() => Colour::Bad,
        LayerState::Degraded | LayerState::Unavailable => Colour::Notice,
    };
    // painted after it is padded: colours have no width
    let state = look.paint(colour, &format!("{:<11}", report.state));
    format!("{state} {}", detail(report)).trim_end().to_owned()
}

/// A layer's own words, safe and no longer than they may be.
fn detail(report: &LayerReport) -> String {
    let text = &report.detail;
    safe_text(&text[..text.floor_char_boundary(MAX_DETAIL)]).into_owned()
}

const fn level_colour(level: SandboxLevel) -> Colour {
    match level {
        SandboxLevel::Full | SandboxLevel::Baseline => Colour::Good,
        SandboxLevel::Degraded | SandboxLevel::None => Colour::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::super::worker_view::tests::{crashed, worker};
    use super::super::worker_view::{inspect, table};
    use super::*;
    use midimon_shared::sandbox::Layer;

    fn degraded() -> WorkerStatus {
        let mut worker = worker("weak");
        worker.sandbox = SandboxLevel::Degraded;
        worker.allow_degraded = true;
        worker.layers.push(LayerReport {
            layer: Layer::Landlock,
            state: LayerState::Unavailable,
            detail: format!("not \x1b[2Jhere{}", "!".repeat(1000)),
        });
        worker
    }

    #[test]
    fn inspecting_shows_each_layer_with_what_it_achieved() {
        let text = inspect(&worker("echo"), &Look::plain(80));
        for line in [
            "  level            baseline",
            "  seccomp          active      2 filters",
            "  cgroup           unavailable no cgroup v2 is delegated",
            "  violations       0",
        ] {
            assert!(text.lines().any(|found| found == line), "missing {line:?} in\n{text}");
        }
    }

    #[test]
    fn a_worker_without_a_layer_is_called_degraded_and_the_layer_named_below() {
        let text = table(&[degraded()], &Look::plain(160));
        assert!(text.lines().nth(1).unwrap().contains("degraded"), "{text}");
        let note = text.split_once("\n\n").unwrap().1;
        assert!(note.starts_with("weak: runs without landlock (not \\u{1b}[2Jhere!"), "{note}");
        assert!(note.len() < 400 && note.contains("since `allow_degraded` says so"), "{note}");
        assert!(inspect(&degraded(), &Look::plain(160)).contains("  allow_degraded   yes"));
    }

    #[test]
    fn a_plugin_that_only_reports_stands_out_in_red() {
        let worker = WorkerStatus { report_only: true, ..worker("mine") };
        let look = Look { coloured: true, width: 160 };
        let red = format!("\x1b[31m{REPORT_ONLY}\x1b[0m");
        assert!(table(std::slice::from_ref(&worker), &look).contains(&red));
        assert!(inspect(&worker, &look).contains(&red));
    }

    #[test]
    fn violations_are_counted_and_the_last_is_named() {
        let last = Some("forbidden system call ptrace (101)".to_owned());
        let worker = WorkerStatus { violations: 3, last_violation: last, ..crashed() };
        let text = table(std::slice::from_ref(&worker), &Look::plain(160));
        assert!(text.contains("crashy: violations: 3, the last: forbidden system call ptrace (101)\n"), "{text}");
        assert!(text.lines().nth(1).unwrap().contains("quarantined  -"), "no process, no level: {text}");
    }
}
