use super::*;
use nix::sys::signal::Signal;

const SEGV: EndCause = EndCause::Signaled { signal: Signal::SIGSEGV, memory: None };

fn ms(millis: u64) -> Time {
    Time::from_millis(millis)
}

fn ready(life: &mut Lifecycle, now: Time) {
    life.step(now, Event::SandboxEntered, 0.5);
    life.step(now, Event::Loaded, 0.5);
    assert_eq!(life.state(), &State::Ready { since: now });
}

fn started() -> Lifecycle {
    let mut life = Lifecycle::new(Limits::default(), None);
    assert_eq!(life.step(ms(0), Event::Start, 0.5), Decision::Spawn);
    ready(&mut life, ms(1));
    life
}

fn crash(life: &mut Lifecycle, now: Time) -> Decision {
    life.step(now, Event::Ended(SEGV), 0.5)
}

#[test]
fn the_first_crash_restarts_at_once_and_the_next_ones_back_off_twice_as_long_each() {
    let mut life = started();
    assert_eq!(crash(&mut life, ms(10)), Decision::Spawn);
    let mut now = 10;
    for expected in [50, 100, 200, 400] {
        ready(&mut life, ms(now));
        assert_eq!(crash(&mut life, ms(now)), Decision::Nothing);
        let State::Backoff { until, reason } = life.state().clone() else { panic!("{:?}", life.state()) };
        assert_eq!(until, ms(now + expected));
        assert_eq!(reason, "killed by SIGSEGV");
        assert_eq!(life.step(ms(now + expected - 1), Event::Timer, 0.5), Decision::Nothing);
        assert_eq!(life.step(until, Event::Timer, 0.5), Decision::Spawn);
        now += expected;
    }
    assert_eq!(life.restarts(), 5);
}

#[test]
fn more_crashes_than_the_limit_within_the_window_quarantine_until_somebody_starts_it() {
    let mut life = started();
    for count in 1..=5 {
        assert_ne!(crash(&mut life, ms(count)), Decision::Down);
        life.step(ms(count) + Duration::from_secs(1), Event::Timer, 0.5);
        ready(&mut life, ms(count));
    }
    assert_eq!(crash(&mut life, ms(6)), Decision::Down);
    let State::Quarantined { reason } = life.state() else { panic!("{:?}", life.state()) };
    assert_eq!(reason, "6 crashes in 60 s, the last: killed by SIGSEGV");
    assert_eq!(life.step(ms(1_000_000), Event::Timer, 0.5), Decision::Nothing);
    assert_eq!(life.step(ms(1_000_000), Event::Start, 0.5), Decision::Spawn);
    ready(&mut life, ms(1_000_000));
    assert_eq!(crash(&mut life, ms(1_000_001)), Decision::Spawn, "its history is forgotten");
}

#[test]
fn crashes_far_apart_are_each_a_first_one() {
    let mut life = started();
    for minute in 1..100u64 {
        let now = ms(minute * 61_000);
        assert_eq!(crash(&mut life, now), Decision::Spawn, "minute {minute}");
        ready(&mut life, now);
    }
}

#[test]
fn back_off_stays_within_its_limits_whatever_the_jitter() {
    let limits = Limits { crash_limit: u32::MAX, ..Limits::default() };
    for jitter in [0.0, 0.5, 1.0, f64::NAN] {
        let mut life = Lifecycle::new(limits.clone(), None);
        life.step(ms(0), Event::Start, jitter);
        let (mut now, mut waits) = (ms(0), 0);
        for _ in 0..200 {
            life.step(now, Event::Ended(SEGV), jitter);
            if let State::Backoff { until, .. } = *life.state() {
                let delay = until.since(now).as_millis();
                assert!((50..=30_000).contains(&delay), "{delay}");
                now = until;
                life.step(now, Event::Timer, jitter);
                waits += 1;
            }
        }
        assert!(waits > 190, "{waits}: only the first ones of a row are restarted at once");
    }
}

#[test]
fn an_unasked_exit_0_is_a_failure_and_an_asked_one_is_not() {
    let mut life = started();
    assert_eq!(life.step(ms(5), Event::Ended(EndCause::Exited(0)), 0.5), Decision::Spawn);
    assert_eq!(life.last_end(), Some("exit code 0 without being asked"));
    ready(&mut life, ms(6));
    assert_eq!(life.step(ms(7), Event::Stop, 0.5), Decision::Shutdown);
    assert_eq!(life.step(ms(8), Event::Ended(EndCause::Exited(0)), 0.5), Decision::Down);
    assert_eq!(life.state(), &State::Stopped);
    assert_eq!(life.last_end(), Some("stopped as asked"));
    assert_eq!(life.restarts(), 1);
}

#[test]
fn a_worker_that_does_not_stop_is_killed_after_its_grace() {
    let mut life = started();
    life.step(ms(10), Event::Stop, 0.5);
    assert_eq!(life.next_timer(), Some(ms(10) + STOP_LIMIT));
    assert_eq!(life.step(ms(10) + STOP_LIMIT, Event::Timer, 0.5), Decision::Kill(KillReason::StopGrace));
    assert_eq!(life.step(ms(2100), Event::Ended(EndCause::Killed(KillReason::StopGrace)), 0.5), Decision::Down);
    assert_eq!(life.state(), &State::Stopped);
}

#[test]
fn a_plugin_that_cannot_be_loaded_fails_without_being_tried_again() {
    let mut life = Lifecycle::new(Limits::default(), None);
    life.step(ms(0), Event::Start, 0.5);
    life.step(ms(1), Event::SandboxEntered, 0.5);
    life.step(ms(2), Event::LoadFailed("no symbol".into()), 0.5);
    assert_eq!(life.step(ms(3), Event::Ended(EndCause::Exited(1)), 0.5), Decision::Down);
    assert_eq!(life.state(), &State::Failed { reason: "no symbol".into() });
}

#[test]
fn every_step_of_the_start_has_a_deadline() {
    let mut life = Lifecycle::new(Limits::default(), None);
    life.set_code("/dev/a.so".into());
    life.step(ms(0), Event::Start, 0.5);
    let Decision::Kill(reason) = life.step(ms(0) + START_LIMIT, Event::Timer, 0.5) else { panic!() };
    assert!(reason.to_string().contains("entering the sandbox"));
    assert_eq!(life.step(ms(5001), Event::Timer, 0.5), Decision::Nothing, "it is killed again after a second only");
    assert_eq!(life.step(ms(6000), Event::Ended(EndCause::Killed(reason)), 0.5), Decision::Spawn);

    life.step(ms(7000), Event::SandboxEntered, 0.5);
    let Decision::Kill(reason) = life.step(ms(7000) + LOAD_LIMIT, Event::Timer, 0.5) else { panic!() };
    assert!(reason.to_string().contains("loading"));
    assert_eq!(life.step(ms(18000), Event::Ended(EndCause::Killed(reason)), 0.5), Decision::Down);
    let State::Failed { reason } = life.state() else { panic!("{:?}: it would be as slow again", life.state()) };
    assert_eq!(reason, "/dev/a.so: deadline: loading and initialising the plugin took longer than 10000 ms");
}

#[test]
fn a_worker_that_cannot_load_its_plugin_ends_soon_and_for_that_reason() {
    let mut life = Lifecycle::new(Limits::default(), None);
    life.set_code("/dev/a.so".into());
    life.step(ms(0), Event::Start, 0.5);
    life.step(ms(1), Event::SandboxEntered, 0.5);
    life.step(ms(2), Event::LoadFailed("it is no plugin".into()), 0.5);
    assert_eq!(life.next_timer(), Some(ms(2) + FAILED_LIMIT));
    let killed = life.step(ms(2) + FAILED_LIMIT, Event::Timer, 0.5);
    let Decision::Kill(reason) = killed else { panic!("{killed:?}") };
    assert!(reason.to_string().contains("could not be loaded took longer than 500 ms"), "{reason}");
    assert_eq!(life.step(ms(600), Event::Ended(EndCause::Killed(reason)), 0.5), Decision::Down);
    assert_eq!(life.state(), &State::Failed { reason: "it is no plugin".into() });
    // no later than without it
    let mut late = Lifecycle::new(Limits::default(), None);
    late.step(ms(0), Event::Start, 0.5);
    late.step(ms(1), Event::SandboxEntered, 0.5);
    late.step(ms(1) + (LOAD_LIMIT - Duration::from_millis(1)), Event::LoadFailed(String::new()), 0.5);
    assert_eq!(late.next_timer(), Some(ms(1) + LOAD_LIMIT));
}

#[test]
fn a_restart_asked_for_stops_first_and_counts_as_no_crash() {
    let mut life = started();
    assert_eq!(life.step(ms(5), Event::Start, 0.5), Decision::Shutdown);
    assert_eq!(life.step(ms(6), Event::Ended(EndCause::Exited(0)), 0.5), Decision::Spawn);
    assert_eq!(life.restarts(), 0);
    assert_eq!(life.step(ms(7), Event::Stop, 0.5), Decision::Shutdown);
    assert_eq!(life.step(ms(8), Event::Start, 0.5), Decision::Nothing, "still stopping, then started again");
    assert_eq!(life.step(ms(9), Event::Ended(EndCause::Exited(0)), 0.5), Decision::Spawn);
}

#[test]
fn without_restart_the_first_crash_is_the_end() {
    let mut life = Lifecycle::new(Limits { restart: RestartPolicy::Never, ..Limits::default() }, None);
    life.step(ms(0), Event::Start, 0.5);
    ready(&mut life, ms(1));
    assert_eq!(crash(&mut life, ms(2)), Decision::Down);
    assert!(matches!(life.state(), State::Failed { .. }));
}

#[test]
fn quarantine_survives_a_restart_of_the_daemon() {
    let mut life = Lifecycle::new(Limits::default(), Some("6 crashes".into()));
    assert_eq!(life.step(ms(0), Event::Timer, 0.5), Decision::Nothing);
    assert_eq!(life.step(ms(0), Event::Stop, 0.5), Decision::Down);
    assert!(matches!(life.state(), State::Quarantined { .. }));
}

#[test]
fn over_its_quota_it_fails_and_over_a_budget_it_is_quarantined_at_once() {
    let killed = |reason| Event::Ended(EndCause::Killed(reason));
    let mut life = started();
    assert_eq!(life.step(ms(2), killed(KillReason::Quota("65 MiB of 64 MiB".into())), 0.5), Decision::Down);
    let reason = "quota exceeded: 65 MiB of 64 MiB".to_owned();
    assert_eq!(life.state(), &State::Failed { reason });
    let mut life = started();
    assert_eq!(life.step(ms(2), killed(KillReason::Budget("500 threads".into())), 0.5), Decision::Down);
    let reason = "budget exceeded: 500 threads".to_owned();
    assert_eq!(life.state(), &State::Quarantined { reason });
}

#[test]
fn what_keeps_a_worker_from_starting_quarantines_nobody_until_the_plugins_code_is_there() {
    let not_started = || Event::Ended(EndCause::NotStarted("no".into()));
    let our_own = || Event::Ended(EndCause::Killed(KillReason::Own("it is not what it says".into())));
    for ended in [not_started, our_own] {
        let mut life = Lifecycle::new(Limits::default(), None);
        life.step(ms(0), Event::Start, 0.5);
        for round in 1..=20 {
            assert_ne!(life.step(ms(round), ended(), 0.5), Decision::Down);
            life.step(ms(round) + Duration::from_secs(60), Event::Timer, 0.5);
        }
    }
    let mut ends = 0;
    let mut life = Lifecycle::new(Limits::default(), None);
    life.step(ms(0), Event::Start, 0.5);
    while !matches!(life.state(), State::Quarantined { .. }) {
        ends += 1;
        life.step(ms(ends), Event::SandboxEntered, 0.5);
        life.step(ms(ends), not_started(), 0.5);
        life.step(ms(ends) + Duration::from_secs(1), Event::Timer, 0.5);
    }
    assert_eq!(ends, 6);
}
