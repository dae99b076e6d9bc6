//! Workers as tables: in `status` and `worker list` one line each, in
//! `worker inspect` everything.

use super::output::{Colour, Look};
use super::safe_text::{safe_lines, safe_text};
use super::sandbox_view;
use super::table::{Cell, Side, Table};
use super::units::{bytes, micros, seconds};
use crate::workers::broker::allowance::ServiceCounts;
use crate::workers::quota::{Allowed, usage_text};
use crate::workers::status::{DropCounts, Origin, PluginKind, WorkerState, WorkerStatus};
use midimon_shared::limits::{InstanceMode, RestartPolicy};

use Side::{Left, Right};

const LIFE: [(&str, Side); 9] = [
    ("PLUGIN", Left),
    ("KIND", Left),
    ("STATE", Left),
    ("SANDBOX", Left),
    ("PID", Right),
    ("UP", Right),
    ("RESTARTS", Right),
    ("MEMORY", Right),
    ("DATA", Right),
];

const CALLS: [(&str, Side); 9] = [
    ("CALLS", Right),
    ("DONE", Right),
    ("FAILED", Right),
    ("TIMEOUT", Right),
    ("DROPPED", Right),
    ("PENDING", Right),
    ("P50", Right),
    ("P99", Right),
    ("MAX", Right),
];

/// Every worker on one line, or where that is too wide in two tables; below,
/// what there is to say about those that are not well.
#[must_use]
pub fn table(workers: &[WorkerStatus], look: &Look) -> String {
    if workers.is_empty() {
        return "no plugins: set `dir` under [plugins] in the configuration\n".to_owned();
    }
    let mut one = Table::new(&[&LIFE[..], &CALLS[..]].concat());
    let mut two = (Table::new(&LIFE), Table::new(&[&LIFE[..1], &CALLS[..]].concat()));
    for worker in workers {
        one.row([life(worker), calls(worker)].concat());
        two.0.row(life(worker));
        two.1.row([vec![worker.id.as_str().into()], calls(worker)].concat());
    }
    let mut text = if one.natural_width() <= look.width {
        one.render(look)
    } else {
        format!("{}\n{}", two.0.render(look), two.1.render(look))
    };
    let notes: String = workers.iter().flat_map(|worker| notes(worker, look)).collect();
    if !notes.is_empty() {
        text.push('\n');
        text.push_str(&notes);
    }
    text
}

fn life(worker: &WorkerStatus) -> Vec<Cell> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    vec![
        worker.id.as_str().into(),
        kind(worker.kind).into(),
        Cell::new(state(worker.state), colour(worker.state)),
        sandbox_view::cell(worker),
        or_dash(worker.pid.map(|pid| pid.to_string())).into(),
        or_dash(worker.uptime_s.map(seconds)).into(),
        number(worker.restarts, Colour::Notice),
        or_dash(worker.memory_kib.map(|kib| bytes(kib.saturating_mul(1024)))).into(),
        or_dash(worker.data_dir.as_ref().map(|_| bytes(worker.data_bytes))).into(),
    ]
}

fn calls(worker: &WorkerStatus) -> Vec<Cell> {
    let calls = &worker.calls;
    vec![
        calls.received.to_string().into(),
        calls.done.to_string().into(),
        number(calls.failed, Colour::Bad),
        number(calls.timed_out, Colour::Bad),
        number(calls.dropped.total(), Colour::Notice),
        calls.in_flight.to_string().into(),
        micros(worker.latency.p50_us).into(),
        micros(worker.latency.p99_us).into(),
        micros(worker.latency.max_us).into(),
    ]
}

/// A count that should be 0.
fn number(number: u64, colour: Colour) -> Cell {
    if number == 0 { "0".into() } else { Cell::new(number.to_string(), colour) }
}

fn notes(worker: &WorkerStatus, look: &Look) -> Vec<String> {
    let mut notes = Vec::new();
    let mut note =
        |text: String| notes.push(format!("{} {}\n", look.paint(Colour::Strong, &format!("{}:", worker.id)), text));
    sandbox_view::notes(worker, look).into_iter().for_each(&mut note);
    if let Some(reason) = &worker.reason {
        note(format!("{}: {}", look.paint(colour(worker.state), state(worker.state)), safe_text(reason)));
    }
    // the reason often ends with it
    let told = |end: &str| worker.reason.as_ref().is_some_and(|reason| reason.contains(end));
    if let Some(end) = worker.last_end.as_ref().filter(|end| !told(end)) {
        note(format!("last end: {}", safe_text(end)));
    }
    if let Some(warning) = &worker.warning {
        note(format!("{}: {}", look.paint(Colour::Notice, "warning"), safe_text(warning)));
    }
    let allowed = Allowed::from(&worker.limits);
    if worker.data_bytes > allowed.bytes / 4 * 3 || worker.data_files > allowed.files / 4 * 3 {
        note(format!("data: {}", data(worker)));
    }
    if let Some(drops) = drops(&worker.calls.dropped) {
        note(format!("dropped: {drops}"));
    }
    if worker.log_dropped > 0 || worker.log_dropped_bytes > 0 {
        note(format!("log: {} dropped, written too fast", log_dropped(worker)));
    }
    notes
}

/// `9600 lines`, and how much nobody looked at.
fn log_dropped(worker: &WorkerStatus) -> String {
    match (worker.log_dropped, worker.log_dropped_bytes) {
        (lines, 0) => format!("{lines} lines"),
        (0, more) => bytes(more),
        (lines, more) => format!("{lines} lines and {} more", bytes(more)),
    }
}

fn data(worker: &WorkerStatus) -> String {
    usage_text(worker.data_bytes, worker.data_files, &Allowed::from(&worker.limits))
}

/// `3 queue full, 1 too old`; `None` when nothing was dropped.
fn drops(counts: &DropCounts) -> Option<String> {
    let reasons = [
        (counts.queue_full, "queue full"),
        (counts.too_old, "too old"),
        (counts.not_running, "not running"),
        (counts.config_changed, "configuration changed"),
    ];
    let named = reasons.iter().filter(|(count, _)| *count > 0).map(|(count, reason)| format!("{count} {reason}"));
    Some(named.collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty())
}

/// Everything about one worker.
#[must_use]
pub fn inspect(worker: &WorkerStatus, look: &Look) -> String {
    let limits = &worker.limits;
    let mut text = String::new();
    let mut section = |title: &str, rows: Vec<(&str, String)>| {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&look.paint(Colour::Strong, title));
        text.push('\n');
        for (name, value) in rows {
            text.push_str(&format!("  {name:<16} {value}\n"));
        }
    };
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let shown = |text: &Option<String>| or_dash(text.as_deref().map(|text| safe_text(text).into_owned()));

    let mut rows = vec![
        ("name", safe_text(&worker.name).into_owned()),
        ("version", safe_text(&worker.version).into_owned()),
        ("kind", kind(worker.kind).to_owned()),
        ("origin", origin(worker.origin).to_owned()),
        ("state", look.paint(colour(worker.state), state(worker.state))),
    ];
    rows.extend(worker.reason.iter().map(|reason| ("reason", safe_text(reason).into_owned())));
    rows.extend([
        ("pid", or_dash(worker.pid.map(|pid| pid.to_string()))),
        ("up", or_dash(worker.uptime_s.map(seconds))),
        ("restarts", worker.restarts.to_string()),
        ("last end", shown(&worker.last_end)),
        ("memory", or_dash(worker.memory_kib.map(|kib| bytes(kib.saturating_mul(1024))))),
        ("processor time", or_dash(worker.cpu_ms.map(|ms| format!("{:.2} s", ms as f64 / 1000.0)))),
        ("log dropped", log_dropped(worker)),
    ]);
    rows.extend(worker.warning.iter().map(|warning| ("warning", look.paint(Colour::Notice, &safe_text(warning)))));
    rows.extend(worker.data_dir.iter().flat_map(|directory| {
        [("data directory", safe_text(&directory.to_string_lossy()).into_owned()), ("data", data(worker))]
    }));
    section(worker.id.as_str(), rows);

    section("sandbox", sandbox_view::rows(worker, look));

    let named = |name, texts: &[String]| -> Vec<(&str, String)> {
        texts.iter().map(|text| (name, safe_text(text).into_owned())).collect()
    };
    let mut rows = named("granted", &worker.grants);
    rows.extend(named("asked for only", &worker.not_granted));
    rows.push(("requests", format!("{} allowed, {} refused", worker.requests.allowed, worker.requests.refused)));
    rows.extend(services(&worker.services));
    section("what it may do", rows);

    let calls = &worker.calls;
    section(
        "calls",
        vec![
            ("received", calls.received.to_string()),
            ("done", calls.done.to_string()),
            ("failed", calls.failed.to_string()),
            ("timed out", calls.timed_out.to_string()),
            ("dropped", drops(&calls.dropped).map_or("0".into(), |by| format!("{} ({by})", calls.dropped.total()))),
            ("in flight", calls.in_flight.to_string()),
            ("latency p50", micros(worker.latency.p50_us)),
            ("latency p99", micros(worker.latency.p99_us)),
            ("latency max", micros(worker.latency.max_us)),
        ],
    );

    let restart = match limits.restart {
        RestartPolicy::OnFailure => "on-failure",
        RestartPolicy::Never => "never",
    };
    let instance = match limits.instance {
        InstanceMode::Persistent => "persistent",
        InstanceMode::PerCall => "per-call",
    };
    section(
        "limits in force",
        vec![
            ("restart", restart.to_owned()),
            ("healthy_after_s", limits.healthy_after_s.to_string()),
            ("backoff_min_ms", limits.backoff_min_ms.to_string()),
            ("backoff_max_ms", limits.backoff_max_ms.to_string()),
            ("crash_limit", limits.crash_limit.to_string()),
            ("crash_window_s", limits.crash_window_s.to_string()),
            ("memory_mib", limits.memory_mib.to_string()),
            ("fuel", if limits.fuel == 0 { "no limit".to_owned() } else { limits.fuel.to_string() }),
            ("timeout_ms", limits.timeout_ms.to_string()),
            ("queue_depth", limits.queue_depth.to_string()),
            ("max_age_ms", limits.max_age_ms.to_string()),
            ("quota_mib", limits.quota_mib.to_string()),
            ("quota_files", limits.quota_files.to_string()),
            (
                "cpu_percent",
                if limits.cpu_percent == 0 { "no limit".to_owned() } else { limits.cpu_percent.to_string() },
            ),
            ("cpu_window_s", limits.cpu_window_s.to_string()),
            ("instance", instance.to_owned()),
        ],
    );

    if !worker.log_tail.is_empty() {
        section("log", Vec::new());
        worker.log_tail.iter().for_each(|line| text.push_str(&format!("  {}\n", safe_lines(line))));
    }
    text
}

/// What it emitted, lit and was called by, where there is any of it.
fn services(counts: &ServiceCounts) -> Vec<(&'static str, String)> {
    let ServiceCounts { events, events_refused, modes, lights, lights_replaced, .. } = *counts;
    let ServiceCounts { timers, timer_calls, timer_calls_left_out, .. } = *counts;
    let rows = [
        ("events", events + events_refused, format!("{events} emitted, {events_refused} refused")),
        ("mode changes", modes, modes.to_string()),
        ("lights", lights + lights_replaced, format!("{lights} sent, {lights_replaced} replaced by a newer value")),
        ("timers", timers + timer_calls, format!("{timers} set, {timer_calls} calls, {timer_calls_left_out} left out")),
    ];
    rows.into_iter().filter(|(_, any, _)| *any > 0).map(|(name, _, text)| (name, text)).collect()
}

const fn kind(kind: PluginKind) -> &'static str {
    match kind {
        PluginKind::Native => "native",
        PluginKind::Wasm => "wasm",
    }
}

const fn origin(origin: Origin) -> &'static str {
    match origin {
        Origin::Dev => "dev (a plugin directory, not installed)",
        Origin::Installed => "installed",
    }
}

pub(super) const fn state(state: WorkerState) -> &'static str {
    match state {
        WorkerState::Starting => "starting",
        WorkerState::Sandboxed => "sandboxed",
        WorkerState::Ready => "ready",
        WorkerState::Busy => "busy",
        WorkerState::Stopping => "stopping",
        WorkerState::Stopped => "stopped",
        WorkerState::Backoff => "backoff",
        WorkerState::Quarantined => "quarantined",
        WorkerState::Failed => "failed",
        WorkerState::Disabled => "disabled",
    }
}

pub(super) const fn colour(state: WorkerState) -> Colour {
    match state {
        WorkerState::Ready | WorkerState::Busy => Colour::Good,
        WorkerState::Starting | WorkerState::Sandboxed | WorkerState::Stopping | WorkerState::Backoff => Colour::Notice,
        WorkerState::Quarantined | WorkerState::Failed => Colour::Bad,
        WorkerState::Stopped | WorkerState::Disabled => Colour::Faint,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::workers::broker::allowance::RequestCounts;
    use crate::workers::status::{CallCounts, LatencySummary};
    use midimon_shared::Limits;
    use midimon_shared::sandbox::{Layer, LayerReport, LayerState, SandboxLevel};
    use unicode_width::UnicodeWidthStr;

    pub(in crate::cli) fn worker(id: &str) -> WorkerStatus {
        WorkerStatus {
            id: id.parse().unwrap(),
            name: "Echo".into(),
            version: "1.0.0".into(),
            kind: PluginKind::Native,
            origin: Origin::Dev,
            state: WorkerState::Ready,
            reason: None,
            pid: Some(1_234_567),
            uptime_s: Some(192),
            restarts: 0,
            last_end: None,
            calls: CallCounts { received: 10_000, done: 10_000, ..CallCounts::default() },
            latency: LatencySummary { p50_us: 85, p99_us: 1_240, max_us: 5_000 },
            memory_kib: Some(612),
            cpu_ms: Some(1_540),
            warning: None,
            data_dir: Some("/h/plugin-data/echo".into()),
            data_bytes: 4_096,
            data_files: 2,
            sandbox: SandboxLevel::Baseline,
            layers: vec![
                LayerReport::active(Layer::Seccomp, "2 filters"),
                LayerReport {
                    layer: Layer::Cgroup,
                    state: LayerState::Unavailable,
                    detail: "no cgroup v2 is delegated".into(),
                },
            ],
            allow_degraded: false,
            report_only: false,
            violations: 0,
            last_violation: None,
            limits: Limits::default(),
            log_dropped: 0,
            log_dropped_bytes: 0,
            grants: Vec::new(),
            not_granted: Vec::new(),
            requests: RequestCounts::default(),
            services: ServiceCounts::default(),
            log_tail: Vec::new(),
        }
    }

    pub(in crate::cli) fn crashed() -> WorkerStatus {
        let dropped = DropCounts { queue_full: 3, too_old: 1, ..DropCounts::default() };
        WorkerStatus {
            state: WorkerState::Quarantined,
            reason: Some("6 crashes in 60 s; restart it with `midimon worker restart crashy`".into()),
            pid: None,
            uptime_s: None,
            sandbox: SandboxLevel::None,
            layers: Vec::new(),
            restarts: 5,
            last_end: Some("signal 11 (SIGSEGV)\n\x1b[2J".into()),
            warning: Some("5.2 s of processor time within 10 s (limit 50 % of a core)".into()),
            log_dropped: 9_600,
            calls: CallCounts { received: 20, done: 10, failed: 6, dropped, ..CallCounts::default() },
            ..worker("crashy")
        }
    }

    #[test]
    fn on_a_wide_terminal_a_worker_is_one_line() {
        let text = table(&[worker("echo")], &Look::plain(160));
        let expected = "\
PLUGIN  KIND    STATE  SANDBOX       PID     UP  RESTARTS  MEMORY  DATA  CALLS   DONE  FAILED  TIMEOUT  DROPPED  PENDING   P50     P99     MAX
echo    native  ready  baseline  1234567  3m12s         0  612.0K  4.0K  10000  10000       0        0        0        0  85µs  1.24ms  5.00ms
";
        assert_eq!(text, expected);
    }

    #[test]
    fn on_80_columns_nothing_is_wider_and_nothing_is_missing() {
        let text = table(&[worker("echo"), crashed()], &Look::plain(80));
        let tables = text.split("\n\n").take(2).collect::<Vec<_>>();
        assert!(tables.iter().flat_map(|table| table.lines()).all(|line| line.width() <= 80), "{text}");
        for column in LIFE.iter().chain(&CALLS) {
            assert!(text.contains(column.0), "{}", column.0);
        }
        for value in ["1234567", "3m12s", "612.0K", "10000", "85µs", "1.24ms", "5.00ms", "quarantined"] {
            assert!(text.contains(value), "{value}: {text}");
        }
    }

    #[test]
    fn why_a_worker_is_not_well_stands_below_the_table_and_forges_nothing() {
        let text = table(&[worker("echo"), crashed()], &Look::plain(160));
        let notes = text.split_once("\n\n").unwrap().1;
        let expected = "\
crashy: quarantined: 6 crashes in 60 s; restart it with `midimon worker restart crashy`
crashy: last end: signal 11 (SIGSEGV)\\u{a}\\u{1b}[2J
crashy: warning: 5.2 s of processor time within 10 s (limit 50 % of a core)
crashy: dropped: 3 queue full, 1 too old
crashy: log: 9600 lines dropped, written too fast
";
        assert_eq!(notes, expected);
    }

    #[test]
    fn states_are_coloured_by_how_well_the_worker_is() {
        let text = table(&[worker("echo"), crashed()], &Look { coloured: true, width: 160 });
        assert!(text.contains("\x1b[32mready\x1b[0m") && text.contains("\x1b[31mquarantined\x1b[0m"), "{text:?}");
    }

    #[test]
    fn inspecting_shows_grants_limits_and_the_last_log_lines_made_safe() {
        let mut worker = crashed();
        worker.grants = vec!["network:example.org:443".into()];
        worker.not_granted = vec!["midi:evil \x1b[2J".into()];
        worker.requests = RequestCounts { allowed: 7, refused: 2 };
        worker.services = ServiceCounts { events: 3, events_refused: 1, timers: 2, ..ServiceCounts::default() };
        worker.log_tail = vec!["hello".into(), "evil \x1b]0;title\x07".into()];
        let text = inspect(&worker, &Look::plain(80));
        for line in [
            "  state            quarantined",
            "  last end         signal 11 (SIGSEGV)\\u{a}\\u{1b}[2J",
            "  data directory   /h/plugin-data/echo",
            "  data             0.1 of 64 MiB, 2 of 4,096 files",
            "  dropped          4 (3 queue full, 1 too old)",
            "  processor time   1.54 s",
            "  log dropped      9600 lines",
            "  warning          5.2 s of processor time within 10 s (limit 50 % of a core)",
            "  latency p99      1.24ms",
            "  cpu_percent      50",
            "  granted          network:example.org:443",
            "  asked for only   midi:evil \\u{1b}[2J",
            "  requests         7 allowed, 2 refused",
            "  events           3 emitted, 1 refused",
            "  timers           2 set, 0 calls, 0 left out",
            "  fuel             100000000",
            "  queue_depth      32",
            "  hello",
            "  evil \\u{1b}]0;title\\u{7}",
        ] {
            assert!(text.lines().any(|found| found == line), "missing {line:?} in\n{text}");
        }
    }
}
