use super::*;

fn budget(cpu_percent: u32, cpu_window_s: u32) -> Budget {
    let mut budget = Budget::new(&Limits { cpu_percent, cpu_window_s, ..Limits::default() }, PluginKind::Native);
    budget.begin(Time::default());
    budget
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Looks as the pool does from `*now` on, while it works `percent` of a core, for so
/// long. Returns what was found and when, in milliseconds.
fn work(budget: &mut Budget, now: &mut u64, worked: &mut u64, percent: u64, millis: u64) -> Vec<(u64, Finding)> {
    let mut found = Vec::new();
    let end = *now + millis;
    while *now < end {
        let step = look_after(budget.is_busy()).as_millis() as u64;
        *now += step;
        *worked += step * percent / 100;
        match budget.look(Time::from_millis(*now), Look { worked: ms(*worked), ..Look::default() }) {
            Finding::Fine => {}
            finding => found.push((*now, finding)),
        }
        if let Some((_, Finding::Exceeded(_))) = found.last() {
            break;
        }
    }
    found
}

#[test]
fn a_plugin_that_spins_is_warned_of_and_then_over_with_its_figures() {
    let mut budget = budget(50, 60);
    let (mut now, mut worked) = (0, 0);
    let found = work(&mut budget, &mut now, &mut worked, 100, 100_000);
    let [(warned, Finding::Warning(warning)), (over, Finding::Exceeded(KillReason::Budget(figures)))] = &found[..]
    else {
        panic!("{found:?}")
    };
    assert!((5_000..=5_500).contains(warned), "{warned}");
    assert_eq!(warning, "5.2 s of processor time within 10 s (limit 50 % of a core)");
    assert!((30_000..=30_500).contains(over), "{over}");
    assert_eq!(figures, "30.2 s of processor time within 60 s (limit 50 % of a core)");
}

#[test]
fn work_below_the_budget_is_never_warned_of_however_long() {
    let mut budget = budget(50, 60);
    let (mut now, mut worked) = (0, 0);
    assert_eq!(work(&mut budget, &mut now, &mut worked, 49, 3_600_000), []);
    assert_eq!(budget.warning(), None);
}

#[test]
fn a_burst_is_warned_of_once_and_forgiven() {
    let mut budget = budget(50, 60);
    let (mut now, mut worked) = (0, 0);
    for _ in 0..20 {
        let found = work(&mut budget, &mut now, &mut worked, 100, 12_000);
        assert!(matches!(found[..], [(_, Finding::Warning(_))]), "{found:?}");
        assert!(budget.warning().is_some());
        assert_eq!(work(&mut budget, &mut now, &mut worked, 0, 50_000), []);
        assert_eq!(budget.warning(), None);
    }
}

#[test]
fn without_a_budget_only_threads_are_counted() {
    let mut budget = budget(0, 60);
    let (mut now, mut worked) = (0, 0);
    assert_eq!(work(&mut budget, &mut now, &mut worked, 800, 600_000), []);
    let look = |threads| Look { worked: ms(worked), held: Held { threads, memory_kib: 0 }, ..Look::default() };
    let at = Time::from_millis(now);
    assert_eq!(budget.look(at, look(64)), Finding::Fine);
    assert_eq!(budget.look(at, look(65)), Finding::Exceeded(KillReason::Budget("65 threads (limit 64)".into())));
}

#[test]
fn crashing_in_time_clears_no_account() {
    let mut budget = budget(50, 60);
    let (mut now, mut found) = (0, Vec::new());
    for _ in 0..10 {
        let mut worked = 0; // each process counts anew
        found = work(&mut budget, &mut now, &mut worked, 100, 9_000);
        if let Some((_, Finding::Exceeded(_))) = found.last() {
            break;
        }
        budget.begin(Time::from_millis(now));
    }
    let Some((over, Finding::Exceeded(KillReason::Budget(figures)))) = found.last() else { panic!("{found:?}") };
    assert!((30_000..=31_000).contains(over), "{over} {figures}");
}

#[test]
fn many_threads_together_use_it_up_sooner_and_a_small_budget_is_kept_exactly() {
    let (mut now, mut worked) = (0, 0);
    let found = work(&mut budget(50, 60), &mut now, &mut worked, 400, 100_000);
    assert!(matches!(found.last(), Some((7_500..=8_000, Finding::Exceeded(_)))), "{found:?}");
    let (mut now, mut worked) = (0, 0);
    let found = work(&mut budget(5, 10), &mut now, &mut worked, 10, 100_000);
    assert!(matches!(found.last(), Some((5_000..=6_000, Finding::Exceeded(_)))), "{found:?}");
    let (mut now, mut worked) = (0, 0);
    assert_eq!(work(&mut budget(5, 10), &mut now, &mut worked, 4, 100_000), []);
}

#[test]
fn work_done_before_the_window_is_not_held_against_it() {
    let mut budget = budget(50, 60);
    // unseen for long, as when the machine slept: 40 s of work, nobody knows when
    let look = Look { worked: ms(40_000), ..Look::default() };
    assert_eq!(budget.look(Time::from_millis(600_000), look), Finding::Fine);
}

#[test]
fn what_is_kept_is_bounded_whatever_the_window() {
    for window in [10, 60, 86_400] {
        let mut budget = budget(100, window);
        let (mut now, mut worked) = (0, 0);
        work(&mut budget, &mut now, &mut worked, 60, 200_000);
        assert!(budget.history.len() <= KEPT as usize + 2, "{}", budget.history.len());
    }
}

#[test]
fn times_and_counts_that_go_backwards_are_no_work() {
    let mut budget = budget(50, 60);
    let look = |millis| Look { worked: ms(millis), ..Look::default() };
    assert_eq!(budget.look(Time::from_millis(10_000), look(4_000)), Finding::Fine);
    assert_eq!(budget.look(Time::from_millis(9_000), look(1_000)), Finding::Fine);
    assert!(!budget.is_busy());
    let huge = budget.look(Time::from_millis(10_250), look(u64::MAX / 2));
    assert!(matches!(huge, Finding::Exceeded(_)), "{huge:?}");
}

#[test]
fn memory_over_what_the_limits_leave_room_for_is_out_of_memory_and_below_it_is_fine() {
    let look = |mib: u64, more| Look { held: Held { threads: 1, memory_kib: mib * 1024 + more }, ..Look::default() };
    for (kind, process) in [(PluginKind::Native, 164), (PluginKind::Wasm, 228)] {
        let limits = Limits { memory_mib: 100, cpu_percent: 0, ..Limits::default() };
        let mut budget = Budget::new(&limits, kind);
        budget.begin(Time::default());
        assert_eq!(budget.look(Time::from_millis(1), look(process, 0)), Finding::Fine);
        let figures =
            format!("{} MiB of {process} MiB (memory_mib = 100, and {} for all else)", process + 1, process - 100);
        assert_eq!(
            budget.look(Time::from_millis(2), look(process, 1)),
            Finding::Exceeded(KillReason::Memory(figures.clone()))
        );
        assert_eq!(KillReason::Memory(figures.clone()).to_string(), format!("out of memory: {figures}"));
        assert!(budget.excess(&look(u64::MAX / 2048, 0).held).is_some());
    }
}

#[test]
fn an_ended_main_thread_is_a_violation_when_it_is_seen_twice_in_a_row_and_looked_for_soon() {
    let look = |main_ended| Look { main_ended, ..Look::default() };
    let mut budget = budget(50, 60);
    for second in 0..10 {
        assert_eq!(budget.look(Time::from_millis(second * 4_000), look(true)), Finding::Fine);
        assert!(budget.is_busy());
        assert_eq!(budget.look(Time::from_millis(second * 4_000 + 2_000), look(false)), Finding::Fine);
        assert!(!budget.is_busy());
    }
    budget.look(Time::from_millis(100_000), look(true));
    budget.begin(Time::from_millis(100_100));
    assert_eq!(budget.look(Time::from_millis(100_200), look(true)), Finding::Fine, "another process");
    let found = budget.look(Time::from_millis(100_450), look(true));
    assert!(matches!(found, Finding::Exceeded(KillReason::Protocol(_))), "{found:?}");
}
