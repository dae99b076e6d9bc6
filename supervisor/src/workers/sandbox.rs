//! What the supervisor holds of a worker's sandbox: what the worker says it achieved, compared
//! with what can be seen from outside.
//!
//! The first look is before the code is sent: nothing a worker says by then is a lie, but our own
//! mistakes are caught. The second is after `Ready`, when the second filter must be on every
//! thread; a plugin that stacks a filter of its own can fake that one, which is why nothing but
//! "no new executable memory" may rest on it.

use super::budget::MAX_THREADS;
use super::log::safe;
use crate::sys::proc_status::ProcStatus;
use midimon_shared::WorkerExit;
use midimon_shared::sandbox::{Layer, LayerReport, LayerState, MAX_DETAIL};
use midimon_shared::spawn::MissingLayers;
use nix::unistd::Uid;
use std::sync::LazyLock;

/// `SECCOMP_MODE_FILTER` of `linux/seccomp.h`, as `/proc/PID/status` shows it.
const MODE_FILTER: u32 = 2;

/// What a worker inherits and its own layers come on top of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Confinement {
    /// We are root, so the bounding set counts.
    pub root: bool,
    /// System-call filters we run under ourselves, in a container for example.
    pub filters: u32,
}

impl Confinement {
    /// This process's own, which does not change.
    #[must_use]
    pub fn ours() -> &'static Self {
        static OURS: LazyLock<Confinement> = LazyLock::new(|| Confinement {
            root: Uid::effective().is_root(),
            // where this cannot be read, no worker's can, and none is started
            filters: ProcStatus::read(nix::unistd::getpid().as_raw()).map_or(0, |status| status.seccomp_filters),
        });
        &OURS
    }
}

/// What is wrong with a sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// This system lacks a layer of the baseline; the text says which, why and how to get it.
    Missing(String),
    /// A layer that is said to hold does not.
    Broken(String),
    /// It cannot be looked at: this system does not show it to us.
    Unseen(String),
}

/// Judges a worker that said hello. `missing` is whether it may run without a layer.
/// Returns the layers made safe to show, those of the supervisor left out.
///
/// # Errors
/// The worker must not be given its plugin.
pub fn judge(
    claimed: &[LayerReport],
    seen: &ProcStatus,
    ours: Confinement,
    missing: MissingLayers,
) -> Result<Vec<LayerReport>, Flaw> {
    let broken = |what: String| Err(Flaw::Broken(what));
    let mut layers: Vec<LayerReport> = Vec::with_capacity(Layer::ALL.len());
    for report in claimed.iter().filter(|report| is_worker_s(report.layer)) {
        if layers.iter().any(|earlier| earlier.layer == report.layer) {
            return broken(format!("{} is reported twice", report.layer));
        }
        layers.push(LayerReport { detail: shown(&report.detail), ..*report });
    }
    let holds = |layer| holds(&layers, layer);
    if seen.threads != 1 {
        return broken(format!("{} threads instead of 1", seen.threads));
    }
    if holds(Layer::NoNewPrivs) && !seen.no_new_privs {
        return broken("no_new_privs is not set".to_owned());
    }
    if holds(Layer::Capabilities) && (seen.capabilities != 0 || (ours.root && seen.cap_bounding != 0)) {
        return broken(format!("capabilities {:#x}, bounding set {:#x}", seen.capabilities, seen.cap_bounding));
    }
    if holds(Layer::Seccomp) && (seen.seccomp != MODE_FILTER || seen.seccomp_filters <= ours.filters) {
        let Confinement { filters, .. } = ours;
        let (mode, seen) = (seen.seccomp, seen.seccomp_filters);
        return broken(format!("seccomp mode {mode}, {seen} filters, of which {filters} are midimon's own"));
    }
    let lost = Layer::ALL.into_iter().find(|layer| is_worker_s(*layer) && !holds(*layer));
    if let Some(layer) = lost.filter(|_| missing == MissingLayers::Refuse) {
        let said = layers.iter().find(|report| report.layer == layer);
        return Err(Flaw::Missing(missing_text(layer, said.map_or("it was not reported", |report| &report.detail))));
    }
    Ok(layers)
}

/// Looks whether the second filter is on every thread: `seen` are its tasks after `Ready`,
/// `layers` and `before` what it had, and how many filters, when it said hello.
///
/// # Errors
/// A thread has less than it must.
pub fn judge_lockdown(seen: &[ProcStatus], layers: &[LayerReport], before: u32) -> Result<LayerReport, String> {
    if seen.is_empty() {
        return Err("no thread of it is left".to_owned());
    }
    // more of them at this moment is not honest
    if seen.len() > MAX_THREADS {
        return Err(format!("more than {MAX_THREADS} threads as soon as it is loaded"));
    }
    let filtered = holds(layers, Layer::Seccomp);
    for task in seen {
        if (holds(layers, Layer::NoNewPrivs) && !task.no_new_privs)
            || (holds(layers, Layer::Capabilities) && task.capabilities != 0)
        {
            return Err("a thread has privileges to gain or to use".to_owned());
        }
        if filtered && (task.seccomp != MODE_FILTER || task.seccomp_filters <= before) {
            let text = "it says it is ready, and its second system-call filter is not on every thread";
            return Err(format!("{text} ({} filters, {before} before)", task.seccomp_filters));
        }
    }
    if !filtered {
        let detail = "there are no system-call filters here".to_owned();
        return Ok(LayerReport { layer: Layer::Lockdown, state: LayerState::Unavailable, detail });
    }
    let filters = seen.iter().map(|task| task.seccomp_filters).min().unwrap_or(before);
    let threads = if seen.len() == 1 { "its thread".to_owned() } else { format!("all {} threads", seen.len()) };
    Ok(LayerReport::active(Layer::Lockdown, format!("{filters} filters on {threads}, {before} before it was loaded")))
}

fn holds(layers: &[LayerReport], layer: Layer) -> bool {
    layers.iter().any(|report| report.layer == layer && report.state != LayerState::Unavailable)
}

/// The layers a worker reports; the others are the supervisor's.
const fn is_worker_s(layer: Layer) -> bool {
    !matches!(layer, Layer::Lockdown | Layer::Cgroup)
}

/// A worker's words, safe to show and no longer than they may be.
fn shown(text: &str) -> String {
    let mut text = safe(text);
    text.truncate(text.floor_char_boundary(MAX_DETAIL));
    text
}

/// The layer without which a worker ended by itself, before it had any code of the plugin.
#[must_use]
pub const fn layer_of(exit: WorkerExit) -> Option<Layer> {
    match exit {
        WorkerExit::NoNewPrivs => Some(Layer::NoNewPrivs),
        WorkerExit::Landlock => Some(Layer::Landlock),
        WorkerExit::Seccomp | WorkerExit::ViolationHandler => Some(Layer::Seccomp),
        WorkerExit::Lockdown => Some(Layer::Lockdown),
        _ => None,
    }
}

/// What a worker's last line adds to the sentence of its exit code, which `why` begins with:
/// `SENTENCE ([error] SENTENCE (the kernel does not have it))`.
#[must_use]
pub fn own_words(exit: WorkerExit, why: &str) -> &str {
    let added = why.rsplit_once(exit.sentence()).and_then(|(_, rest)| rest.strip_prefix(" (")?.strip_suffix("))"));
    added.unwrap_or(why)
}

/// Why a plugin is not started without a layer, and what to do about it.
#[must_use]
pub fn missing_text(layer: Layer, why: &str) -> String {
    let fix = remedy(layer);
    format!(
        "the sandbox lacks {layer}: {}; {fix}; or let this plugin run without it: `allow_degraded = true` in its \
         [plugins.ID] table",
        shown(why)
    )
}

/// The way to have a layer that this system lacks.
#[must_use]
pub const fn remedy(layer: Layer) -> &'static str {
    match layer {
        Layer::Landlock => {
            "it needs Linux 5.13 or newer with Landlock switched on: add `landlock` in front of the list in the \
             kernel's parameter `lsm=` (`cat /sys/kernel/security/lsm` shows the list in force), then restart; \
             in a container, its seccomp profile must allow the landlock_* calls"
        }
        Layer::Seccomp | Layer::Lockdown => {
            "it needs a kernel with CONFIG_SECCOMP_FILTER (every distribution's has it); in a container, its profile \
             must allow `seccomp`"
        }
        Layer::Cgroup => {
            "give midimon a cgroup (v2) of its own: run it as a systemd service with `Delegate=yes`, or try \
             `systemd-run --user --scope -p Delegate=yes midimon run`"
        }
        Layer::Descriptors
        | Layer::Signals
        | Layer::Limits
        | Layer::Priority
        | Layer::Capabilities
        | Layer::Lifeline
        | Layer::Dumpable
        | Layer::NoNewPrivs => "every Linux since 5.13 has it: look what a container or security module forbids",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use MissingLayers::{Accept, Refuse};

    fn claims() -> Vec<LayerReport> {
        Layer::ALL.into_iter().filter(|layer| is_worker_s(*layer)).map(|layer| LayerReport::active(layer, "")).collect()
    }

    const ROOT: Confinement = Confinement { root: true, filters: 0 };
    const USER: Confinement = Confinement { root: false, filters: 0 };

    fn good() -> ProcStatus {
        ProcStatus { no_new_privs: true, threads: 1, seccomp: 2, seccomp_filters: 2, ..ProcStatus::default() }
    }

    fn broken(result: Result<Vec<LayerReport>, Flaw>) -> String {
        match result {
            Err(Flaw::Broken(what)) => what,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_claimed_and_seen_is_taken_as_it_is() {
        assert_eq!(judge(&claims(), &good(), ROOT, Refuse), Ok(claims()));
    }

    #[test]
    fn whatever_is_claimed_must_be_seen_from_outside() {
        let cases = [
            ("2 threads", ProcStatus { threads: 2, ..good() }),
            ("no_new_privs", ProcStatus { no_new_privs: false, ..good() }),
            ("capabilities 0x1", ProcStatus { capabilities: 1, ..good() }),
            ("bounding set 0x1", ProcStatus { cap_bounding: 1, ..good() }),
            ("mode 0", ProcStatus { seccomp: 0, ..good() }),
            ("mode 1", ProcStatus { seccomp: 1, ..good() }),
            ("0 filters", ProcStatus { seccomp_filters: 0, ..good() }),
        ];
        for (expected, seen) in cases {
            // no word of the user's makes up for a layer that only says it is there
            for accept in [Refuse, Accept] {
                let what = broken(judge(&claims(), &seen, ROOT, accept));
                assert!(what.contains(expected), "{what}");
            }
        }
        let inherited = Confinement { filters: 2, ..ROOT };
        assert!(broken(judge(&claims(), &good(), inherited, Accept)).contains("2 are midimon's own"));
        let bounding = ProcStatus { cap_bounding: 1, ..good() };
        assert!(judge(&claims(), &bounding, USER, Refuse).is_ok(), "an ordinary user's bounding set gives nothing");
    }

    #[test]
    fn a_baseline_layer_that_is_missing_needs_the_users_word() {
        for lost in claims() {
            let mut unreported = claims();
            unreported.retain(|report| report.layer != lost.layer);
            let mut unavailable = claims();
            for report in unavailable.iter_mut().filter(|report| report.layer == lost.layer) {
                (report.state, report.detail) = (LayerState::Unavailable, "not here".into());
            }
            for (claimed, why) in [(unreported, "not reported"), (unavailable, "not here")] {
                let Err(Flaw::Missing(text)) = judge(&claimed, &good(), ROOT, Refuse) else { panic!("{claimed:?}") };
                assert!(text.contains(lost.layer.as_str()) && text.contains(why), "{text}");
                assert!(text.contains(remedy(lost.layer)) && text.contains("allow_degraded = true"), "{text}");
                assert_eq!(judge(&claimed, &good(), ROOT, Accept), Ok(claimed));
            }
        }
    }

    #[test]
    fn less_than_all_of_a_layer_is_enough() {
        let mut claimed = claims();
        claimed[8].state = LayerState::Degraded;
        assert_eq!(judge(&claimed, &good(), ROOT, Refuse), Ok(claimed));
    }

    #[test]
    fn a_layer_is_reported_once_and_never_the_supervisors() {
        let mut twice = claims();
        twice.push(twice[3].clone());
        assert!(broken(judge(&twice, &good(), ROOT, Accept)).contains("twice"));
        let mut more = claims();
        more.push(LayerReport::active(Layer::Cgroup, "mine"));
        more.push(LayerReport::active(Layer::Lockdown, "mine"));
        assert_eq!(judge(&more, &good(), ROOT, Refuse), Ok(claims()));
    }

    #[test]
    fn a_workers_words_are_made_safe_and_short() {
        let mut claimed = claims();
        claimed[0].detail = format!("\x1b[2J{}", "ü".repeat(500));
        let detail = &judge(&claimed, &good(), ROOT, Refuse).unwrap()[0].detail;
        assert!(detail.starts_with("\\u{1b}[2J") && detail.len() <= MAX_DETAIL, "{detail}");
    }

    #[test]
    fn ready_without_one_more_filter_on_every_thread_is_not_believed() {
        let task = |filters| ProcStatus { seccomp_filters: filters, threads: 2, ..good() };
        let report = judge_lockdown(&[task(4), task(5)], &claims(), 2).unwrap();
        assert_eq!((report.layer, report.state), (Layer::Lockdown, LayerState::Active));
        for bad in [
            vec![task(4), task(2)],
            vec![ProcStatus { no_new_privs: false, ..task(4) }],
            vec![ProcStatus { capabilities: 8, ..task(4) }],
            vec![ProcStatus { seccomp: 1, ..task(4) }],
            vec![task(4); MAX_THREADS + 1],
            vec![],
        ] {
            assert!(judge_lockdown(&bad, &claims(), 2).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn where_the_user_accepts_to_have_no_filters_the_second_one_is_not_there_either() {
        let mut layers = claims();
        layers.retain(|report| report.layer != Layer::Seccomp);
        let task = ProcStatus { seccomp: 0, seccomp_filters: 0, ..good() };
        assert_eq!(judge_lockdown(&[task], &layers, 0).unwrap().state, LayerState::Unavailable);
    }

    #[test]
    fn a_workers_reason_is_told_once() {
        let sentence = WorkerExit::Landlock.sentence();
        let line = format!("{sentence} ([error] {sentence} (ABI (7) is odd (really)))");
        assert_eq!(own_words(WorkerExit::Landlock, &line), "ABI (7) is odd (really)");
        assert_eq!(own_words(WorkerExit::Landlock, sentence), sentence);
        assert_eq!(own_words(WorkerExit::Landlock, "something else"), "something else");
    }

    #[test]
    fn the_exit_codes_of_layers_name_them() {
        assert_eq!(layer_of(WorkerExit::Landlock), Some(Layer::Landlock));
        assert_eq!(layer_of(WorkerExit::Load), None);
    }
}
