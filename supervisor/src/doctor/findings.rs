//! Judging what was seen: a pure function, so that every machine can be tried on this one.

use super::facts::Facts;
use super::{Finding, State};
use crate::workers::sandbox::remedy;
use midimon_shared::landlock::{NEWEST, lacks};
use midimon_shared::sandbox::{Layer, LayerReport, LayerState, SandboxLevel};
use nix::errno::Errno;

/// The oldest kernel with every layer of the baseline: Landlock came with it.
const OLDEST: (u32, u32) = (5, 13);

/// Everything there is to say, the sandbox's first.
#[must_use]
pub fn findings(facts: &Facts) -> Vec<Finding> {
    let mut all = vec![
        kernel(&facts.kernel),
        landlock(facts.landlock),
        seccomp(facts.seccomp),
        no_new_privs(facts.no_new_privs),
        proc(facts),
        user(facts.root),
        programs(facts),
        sandbox(facts),
        cgroup(&facts.cgroup),
    ];
    all.push(match &facts.sequencer {
        Ok(()) => ok("midi", "the ALSA sequencer can be used"),
        Err(why) => limited("midi", "no MIDI devices can be used; files and standard input can", why.clone()),
    });
    all.push(match &facts.keyboards {
        Ok(ways) => ok("keyboard", format!("keys are sent through {}", ways.join(", else "))),
        Err(why) => limited("keyboard", "no keys can be sent", why.clone()),
    });
    all
}

/// What a plugin's sandbox would be. The second filter is entered after a plugin is loaded, so a worker
/// without one does not show it: it is there when the first one is.
pub(super) fn level(layers: &[LayerReport]) -> SandboxLevel {
    let lockdown = layers.iter().find(|report| report.layer == Layer::Seccomp);
    let lockdown = lockdown.map(|report| LayerReport { layer: Layer::Lockdown, ..report.clone() });
    SandboxLevel::of(&layers.iter().cloned().chain(lockdown).collect::<Vec<_>>())
}

fn finding(what: &'static str, state: State, detail: impl Into<String>, fix: Option<String>) -> Finding {
    Finding { what, state, detail: detail.into(), fix, baseline: false }
}

fn ok(what: &'static str, detail: impl Into<String>) -> Finding {
    finding(what, State::Ok, detail, None)
}

fn limited(what: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Finding {
    finding(what, State::Limited, detail, Some(fix.into()))
}

/// Plugins do not start without it.
fn missing(what: &'static str, detail: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { baseline: true, ..finding(what, State::Missing, detail, Some(fix.into())) }
}

fn kernel(release: &str) -> Finding {
    let mut numbers = release.split(['.', '-']).map(str::parse::<u32>);
    let detail = format!("Linux {release}");
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) if (major, minor) >= OLDEST => ok("kernel", detail),
        _ => missing("kernel", detail, format!("use Linux {}.{} or newer", OLDEST.0, OLDEST.1)),
    }
}

fn landlock(abi: Result<u32, Errno>) -> Finding {
    let fix = remedy(Layer::Landlock);
    match abi {
        Ok(abi) => match lacks(abi) {
            None => ok("landlock", format!("ABI {abi}")),
            Some(lacks) => {
                limited("landlock", format!("ABI {abi}: {lacks}"), format!("Linux {} has all of it", NEWEST.kernel))
            }
        },
        Err(Errno::ENOSYS) => missing("landlock", "the kernel does not have it", fix),
        Err(Errno::EOPNOTSUPP) => missing("landlock", "the kernel has it, and it is switched off", fix),
        Err(error) => missing("landlock", format!("it cannot be used: {error}"), fix),
    }
}

fn seccomp(actions: Result<(), Errno>) -> Finding {
    match actions {
        Ok(()) => ok("seccomp", "system-call filters with every action that is needed"),
        Err(error) => {
            missing("seccomp", format!("system-call filters cannot be used: {error}"), remedy(Layer::Seccomp))
        }
    }
}

fn no_new_privs(is_known: bool) -> Finding {
    if is_known {
        ok("no_new_privs", "there")
    } else {
        missing("no_new_privs", "the kernel does not know it", remedy(Layer::NoNewPrivs))
    }
}

/// Whether workers can be looked at from outside.
fn proc(facts: &Facts) -> Finding {
    let Some(value) = &facts.hidepid else { return ok("/proc", "workers can be looked at from outside") };
    let detail = format!("mounted with hidepid={value}");
    // it hides nothing from root and from its own group
    let hides = facts.programs.iter().any(|program| program.tried.as_ref().is_err_and(|why| why.contains("hidepid")));
    if hides {
        let fix = "run `sudo mount -o remount,hidepid=0 /proc` (and change it in /etc/fstab), or give its option \
                   gid= a group you are in";
        missing("/proc", format!("{detail}: workers cannot be looked at from outside, so none is trusted"), fix)
    } else {
        ok("/proc", format!("{detail}, and workers can be looked at all the same"))
    }
}

fn user(root: bool) -> Finding {
    if root {
        let fix =
            "run midimon as an ordinary user; it needs nothing of root's but the devices (groups `audio`, `input`)";
        limited("user", "root: a mistake of midimon's own would be root's", fix)
    } else {
        ok("user", "an ordinary one")
    }
}

fn programs(facts: &Facts) -> Finding {
    let mut wrong = Vec::new();
    for program in &facts.programs {
        match &program.tried {
            Ok(tried) if tried.version == facts.version => {}
            Ok(tried) => wrong.push(format!("{} is of version {}", program.name, tried.version)),
            Err(why) => wrong.push(format!("{}: {why}", program.name)),
        }
    }
    if wrong.is_empty() {
        ok("programs", format!("the workers and the compiler are there, all of version {}", facts.version))
    } else {
        let fix =
            "install all programs of one version in one directory (`make build`), and see what else is missing here";
        missing("programs", wrong.join("; "), fix)
    }
}

/// What a worker entered in fact.
fn sandbox(facts: &Facts) -> Finding {
    let layers = facts.layers();
    if layers.is_empty() {
        return missing("sandbox", "no worker could be tried", "see `programs` above");
    }
    let level = level(&layers);
    let lacks: Vec<&LayerReport> =
        layers.iter().filter(|report| report.layer.is_baseline() && report.state == LayerState::Unavailable).collect();
    match (level, lacks.first()) {
        (SandboxLevel::Full | SandboxLevel::Baseline, _) => {
            ok("sandbox", format!("a worker without a plugin entered it: {level}"))
        }
        (_, Some(first)) => {
            let names: Vec<&str> = lacks.iter().map(|report| report.layer.as_str()).collect();
            let fix = format!(
                "{}; or let a plugin run without it: `allow_degraded = true` in its [plugins.ID] table",
                remedy(first.layer)
            );
            missing("sandbox", format!("a worker entered it without {}", names.join(", ")), fix)
        }
        (_, None) => missing(
            "sandbox",
            "a worker entered it, and does not tell of every layer",
            "use workers of this midimon's version (`make build`)",
        ),
    }
}

fn cgroup(report: &LayerReport) -> Finding {
    match report.state {
        LayerState::Active => ok("cgroup", report.detail.clone()),
        LayerState::Degraded | LayerState::Unavailable => {
            let detail =
                format!("{}; memory, threads and processor time are watched, not held by the kernel", report.detail);
            limited("cgroup", detail, remedy(Layer::Cgroup))
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
