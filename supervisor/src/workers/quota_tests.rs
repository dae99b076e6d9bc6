use super::*;

const ALLOWED: Allowed = Allowed { bytes: 64 * MIB, files: 4_096 };

fn ms(ms: u64) -> Time {
    Time::from_millis(1_000 + ms)
}

fn usage(bytes: u64, largest: u64) -> Usage {
    Usage { bytes, files: 10, largest, complete: true }
}

fn count(usage: Usage) -> Count {
    Count { usage, free: u64::MAX, ..Count::default() }
}

/// One that is quiet, with that much.
fn quiet(bytes: u64) -> Quota {
    let mut quota = Quota::new(ALLOWED, usage(bytes, bytes), ms(0));
    assert_eq!(quota.counted(ms(0), &count(usage(bytes, bytes))), Decision::Nothing);
    assert_eq!(quota.next(), None);
    quota
}

#[test]
fn while_nothing_changes_nothing_is_counted() {
    let mut quota = quiet(MIB);
    quota.changed(ms(5_000));
    assert_eq!(quota.next(), Some(ms(5_000)), "a change is looked at at once");
    let mut counts = 0;
    while let Some(next) = quota.next() {
        counts += 1;
        assert_eq!(quota.counted(next, &count(usage(MIB, MIB))), Decision::Nothing);
        assert!(next < ms(6_100), "counted for ever");
    }
    assert!((90..130).contains(&counts), "every 10 ms for a second, not {counts}");
}

#[test]
fn a_plugin_over_its_bytes_or_files_is_stopped_with_the_figures() {
    let over = |usage: Usage| quiet(MIB).counted(ms(10), &count(usage));
    assert_eq!(over(usage(70 * MIB, MIB)), Decision::Stop("70 of 64 MiB".into()));
    assert_eq!(over(usage(64 * MIB + 1, MIB)), Decision::Stop("64.1 of 64 MiB".into()));
    let files = Usage { files: 4_097, ..usage(MIB, MIB) };
    assert_eq!(over(files), Decision::Stop("4,097 files of 4,096".into()));
    let exactly = Usage { files: 4_096, ..usage(64 * MIB, MIB) };
    assert!(!matches!(over(exactly), Decision::Stop(_)), "all of it may be used");
}

#[test]
fn near_the_quota_it_is_frozen_counted_and_its_files_are_limited_to_what_is_left() {
    let mut quota = quiet(40 * MIB);
    assert_eq!(quota.counted(ms(100), &count(usage(50 * MIB, 20 * MIB))), Decision::Freeze);
    assert!(quota.is_frozen() && quota.next() == Some(ms(101)));
    quota.still_moving(ms(101));
    assert_eq!(quota.next(), Some(ms(102)));
    // it went on while it was being stopped; standing still the count is exact
    let decision = quota.counted(ms(102), &count(usage(54 * MIB, 24 * MIB)));
    assert_eq!(decision, Decision::FileLimit(34 * MIB));
    assert!(!quota.is_frozen());
}

#[test]
fn a_worker_in_the_middle_of_a_long_write_is_not_waited_for_for_long() {
    let mut quota = quiet(40 * MIB);
    assert_eq!(quota.counted(ms(100), &count(usage(50 * MIB, MIB))), Decision::Freeze);
    assert!(!quota.is_frozen_long(ms(119)) && quota.is_frozen_long(ms(120)));
}

#[test]
fn small_writes_near_the_quota_freeze_it_once_and_large_ones_rarely() {
    let mut quota = quiet(40 * MIB);
    let mut freezes = 0;
    for step in 0..500 {
        // 1 KiB every 20 ms
        let decision = quota.counted(ms(step * 20), &count(usage(50 * MIB + step * 1024, MIB)));
        freezes += usize::from(decision == Decision::Freeze);
    }
    assert_eq!(freezes, 1);
    for step in 0..500 {
        let bytes = if step % 2 == 0 { 50 * MIB } else { 60 * MIB };
        let decision = quota.counted(ms(10_000 + step * 20), &count(usage(bytes, MIB)));
        freezes += usize::from(decision == Decision::Freeze);
    }
    assert!(freezes <= 1 + 10_000 / FREEZE_EVERY.as_millis() as usize, "{freezes}");
}

#[test]
fn what_is_deleted_may_be_written_again_at_once() {
    let mut quota = quiet(40 * MIB);
    quota.counted(ms(100), &count(usage(60 * MIB, MIB)));
    assert_eq!(quota.counted(ms(102), &count(usage(60 * MIB, MIB))), Decision::FileLimit(5 * MIB));
    assert_eq!(quota.counted(ms(122), &count(usage(52 * MIB, MIB))), Decision::FileLimit(13 * MIB));
    assert_eq!(quota.counted(ms(142), &count(usage(MIB, MIB))), Decision::FileLimit(64 * MIB));
    assert_eq!(quota.counted(ms(162), &count(usage(MIB, MIB))), Decision::Nothing);
}

#[test]
fn a_file_limit_never_refuses_what_the_quota_allows() {
    let mut limits = 0;
    for bytes in (48..=64).map(|mib| mib * MIB) {
        for largest in [0, 1, bytes / 2, bytes] {
            let mut quota = quiet(40 * MIB);
            quota.counted(ms(100), &count(usage(bytes, largest)));
            if let Decision::FileLimit(limit) = quota.counted(ms(102), &count(usage(bytes, largest))) {
                assert_eq!(limit, largest + (ALLOWED.bytes - bytes));
                assert!(limit <= ALLOWED.bytes);
                limits += 1;
            }
        }
    }
    assert!(limits > 40, "{limits} of 68");
}

#[test]
fn the_faster_it_grows_the_sooner_it_is_counted_and_counting_never_takes_all_the_time() {
    let next_after = |from: u64, to: u64, took| {
        let mut quota = quiet(0);
        quota.changed(ms(50));
        quota.counted(ms(100), &count(usage(from, from)));
        quota.counted(ms(120), &Count { took, ..count(usage(to, to)) });
        quota.next().unwrap().since(ms(120))
    };
    assert_eq!(next_after(MIB, MIB + 1024, Duration::ZERO), RELAXED);
    assert_eq!(next_after(MIB, 40 * MIB, Duration::ZERO).as_millis(), 6);
    assert_eq!(next_after(MIB, 40 * MIB, Duration::from_millis(5)), Duration::from_millis(20));
    assert_eq!(next_after(MIB, 40 * MIB, Duration::from_secs(1)), LONGEST);
}

#[test]
fn after_the_first_change_it_is_counted_often_since_its_pace_is_not_known() {
    let mut quota = quiet(MIB);
    quota.changed(ms(5_000));
    let mut times = Vec::new();
    while let Some(next) = quota.next().filter(|next| *next < ms(5_040)) {
        times.push(next.since(ms(5_000)).as_millis());
        quota.counted(next, &count(usage(MIB, MIB)));
    }
    assert_eq!(times, [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 30]);
}

#[test]
fn what_cannot_be_counted_is_counted_once_more_standing_still_and_then_over() {
    let hidden = Usage { complete: false, ..usage(MIB, MIB) };
    let mut quota = quiet(MIB);
    assert_eq!(quota.counted(ms(10), &count(hidden)), Decision::Freeze);
    assert!(matches!(quota.counted(ms(11), &count(hidden)), Decision::Stop(_)));
    let mut quota = quiet(MIB);
    assert_eq!(quota.counted(ms(10), &count(hidden)), Decision::Freeze);
    assert_eq!(quota.counted(ms(11), &count(usage(MIB, MIB))), Decision::Thaw, "it had only moved");
}

#[test]
fn on_a_full_disk_only_who_hides_files_and_writes_is_stopped() {
    let full = |deletes| Count { free: MIB, deletes, ..count(usage(2 * MIB, MIB)) };
    assert!(matches!(quiet(MIB).counted(ms(10), &full(true)), Decision::Stop(_)));
    assert_eq!(quiet(MIB).counted(ms(10), &full(false)), Decision::Nothing);
    assert_eq!(
        quiet(2 * MIB).counted(ms(10), &Count { usage: usage(2 * MIB, 2 * MIB), ..full(true) }),
        Decision::Nothing
    );
}

#[test]
fn no_worker_stays_frozen_for_longer_than_half_a_second() {
    let mut quota = Quota::new(Allowed { bytes: 64 * MIB, files: 10 }, Usage::default(), Time::from_millis(0));
    let usage = Usage { bytes: 60 * MIB, files: 1, largest: 60 * MIB, complete: true };
    let count = Count { usage, took: Duration::ZERO, free: u64::MAX, deletes: false };
    assert_eq!(quota.counted(Time::from_millis(1), &count), Decision::Freeze);
    assert!(!quota.is_overdue(Time::from_millis(500)));
    assert!(quota.is_overdue(Time::from_millis(501)));
}

#[test]
fn what_the_supervisor_lacks_stops_nobody_and_is_tried_again() {
    let mut quota = Quota::new(Allowed { bytes: 64 * MIB, files: 10 }, Usage::default(), Time::from_millis(0));
    let usage = Usage { bytes: 60 * MIB, files: 1, largest: 60 * MIB, complete: true };
    let count = Count { usage, took: Duration::ZERO, free: u64::MAX, deletes: false };
    assert_eq!(quota.counted(Time::from_millis(1), &count), Decision::Freeze);
    assert_eq!(quota.uncounted(Time::from_millis(5)), Decision::Thaw);
    assert_eq!(quota.next(), Some(Time::from_millis(105)));
    assert_eq!(quota.uncounted(Time::from_millis(105)), Decision::Nothing);
}
