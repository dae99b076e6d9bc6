use super::super::Report;
use super::super::facts::{Program, Tried};
use super::*;

fn layers() -> Vec<LayerReport> {
    let worker_s = Layer::ALL.into_iter().filter(|layer| *layer != Layer::Lockdown);
    worker_s.map(|layer| LayerReport::active(layer, "")).collect()
}

/// A machine with all there is.
fn good() -> Facts {
    let program = |name, layers| Program { name, tried: Ok(Tried { version: "1.2.3".into(), layers }) };
    Facts {
        kernel: "6.18.5-arch1".into(),
        landlock: Ok(9),
        seccomp: Ok(()),
        no_new_privs: true,
        hidepid: None,
        root: false,
        cgroup: LayerReport::active(Layer::Cgroup, "/sys/fs/cgroup/x is midimon's to divide"),
        version: "1.2.3",
        programs: vec![program("midimon-worker", layers()), program("midimon-compile", Vec::new())],
        sequencer: Ok(()),
        keyboards: Ok(vec!["/dev/uinput", "X11"]),
    }
}

/// The only finding that is not well.
fn only(facts: &Facts) -> Finding {
    let mut bad: Vec<Finding> = findings(facts).into_iter().filter(|finding| finding.state != State::Ok).collect();
    assert_eq!(bad.len(), 1, "{bad:#?}");
    bad.remove(0)
}

#[test]
fn on_a_machine_that_has_everything_all_is_well() {
    let report = Report::new(&good());
    assert!(report.ok && report.findings.iter().all(|finding| finding.state == State::Ok), "{report:#?}");
    assert_eq!(report.sandbox, SandboxLevel::Full);
}

#[test]
fn whatever_is_not_well_comes_with_what_to_do_and_only_the_baseline_fails() {
    let unavailable =
        LayerReport { layer: Layer::Cgroup, state: LayerState::Unavailable, detail: "not delegated".into() };
    let cases: Vec<(&str, State, &str, Facts)> = vec![
        ("kernel", State::Missing, "5.13", Facts { kernel: "5.10.0-8".into(), ..good() }),
        ("kernel", State::Missing, "5.13", Facts { kernel: "unknown".into(), ..good() }),
        ("landlock", State::Limited, "7.1", Facts { landlock: Ok(2), ..good() }),
        ("landlock", State::Missing, "lsm=", Facts { landlock: Err(Errno::EOPNOTSUPP), ..good() }),
        ("landlock", State::Missing, "5.13", Facts { landlock: Err(Errno::ENOSYS), ..good() }),
        ("landlock", State::Missing, "container", Facts { landlock: Err(Errno::EPERM), ..good() }),
        ("seccomp", State::Missing, "CONFIG_SECCOMP_FILTER", Facts { seccomp: Err(Errno::EINVAL), ..good() }),
        ("no_new_privs", State::Missing, "container", Facts { no_new_privs: false, ..good() }),
        ("user", State::Limited, "ordinary user", Facts { root: true, ..good() }),
        ("cgroup", State::Limited, "Delegate=yes", Facts { cgroup: unavailable, ..good() }),
        ("midi", State::Limited, "modprobe", Facts { sequencer: Err("sudo modprobe snd-seq".into()), ..good() }),
        ("keyboard", State::Limited, "usermod", Facts { keyboards: Err("sudo usermod".into()), ..good() }),
    ];
    for (what, state, fix, facts) in cases {
        let finding = only(&facts);
        assert_eq!((finding.what, finding.state), (what, state));
        assert!(finding.fix.as_ref().is_some_and(|text| text.contains(fix)), "{finding:?}");
        assert_eq!(Report::new(&facts).ok, state != State::Missing, "{what}");
    }
}

#[test]
fn an_old_landlock_says_what_it_lacks_and_nothing_else() {
    let detail = only(&Facts { landlock: Ok(3), ..good() }).detail;
    assert!(detail.contains("TCP") && detail.contains("signals") && !detail.contains("truncation"), "{detail}");
}

#[test]
fn hidepid_matters_where_it_hides_workers() {
    let mut facts = Facts { hidepid: Some("2".into()), ..good() };
    assert!(Report::new(&facts).ok, "root, and members of its group, see them");
    facts.programs[0].tried = Err("/proc/7 cannot be read; is /proc mounted with hidepid?".into());
    let report = Report::new(&facts);
    let proc = report.findings.iter().find(|finding| finding.what == "/proc").unwrap();
    assert_eq!(proc.state, State::Missing);
    assert!(!report.ok && proc.fix.as_ref().unwrap().contains("remount,hidepid=0"), "{proc:?}");
}

#[test]
fn programs_are_all_there_and_of_one_version_or_named() {
    let mut facts = good();
    facts.programs[1].tried = Err("cannot be started: No such file or directory".into());
    assert!(only(&facts).detail.contains("midimon-compile: cannot be started"));
    let mut facts = good();
    facts.programs[0].tried = Ok(Tried { version: "1.2.2".into(), layers: layers() });
    assert_eq!(only(&facts).detail, "midimon-worker is of version 1.2.2");
    assert!(!Report::new(&facts).ok);
}

#[test]
fn a_layer_that_a_worker_could_not_enter_fails_and_says_how_to_go_on() {
    let mut lost = layers();
    lost[8].state = LayerState::Unavailable;
    let mut facts = good();
    facts.programs[0].tried = Ok(Tried { version: "1.2.3".into(), layers: lost });
    let finding = only(&facts);
    assert_eq!((finding.what, finding.state), ("sandbox", State::Missing));
    assert!(finding.detail.contains("landlock") && finding.fix.unwrap().contains("allow_degraded = true"));
    assert_eq!(Report::new(&facts).sandbox, SandboxLevel::Degraded);
}

#[test]
fn without_system_call_filters_there_is_no_second_one_either() {
    let mut without = layers();
    without.retain(|report| report.layer != Layer::Seccomp);
    assert_eq!(level(&without), SandboxLevel::Degraded);
    assert_eq!(level(&layers()), SandboxLevel::Full);
}
