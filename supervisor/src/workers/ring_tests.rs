use super::*;
use midimon_shared::ChannelMessage;
use proptest::prelude::*;

const ROUTE: Route = Route { binding: BindingId(1), timeout: None, paired: false };
/// What calls are given whose mapping says nothing.
const DEFAULT: Duration = Duration::from_millis(100);
const PAIRED: Route = Route { paired: true, ..ROUTE };

fn ms(millis: u64) -> Time {
    Time::from_millis(millis)
}

fn ring(depth: u32) -> Ring {
    Ring::new(depth, Duration::from_millis(250))
}

fn press(note: u8) -> TriggerStamp {
    let message = ChannelMessage::from_bytes([0x90, note, 100]);
    TriggerStamp { kind: TriggerKind::NotePress, message, ..TriggerStamp::default() }
}

fn release(note: u8) -> TriggerStamp {
    let message = ChannelMessage::from_bytes([0x80, note, 64]);
    TriggerStamp { kind: TriggerKind::NoteRelease, message, ..TriggerStamp::default() }
}

fn write_all(ring: &mut Ring, now: Time) -> Vec<CallId> {
    let mut written = Vec::new();
    while let Some(trigger) = ring.next_unwritten(now) {
        ring.mark_written(now);
        written.push(trigger.call);
    }
    written
}

fn balanced(ring: &Ring) -> bool {
    let counts = ring.counts();
    counts.received == counts.done + counts.failed + counts.timed_out + counts.dropped.total() + counts.in_flight
}

#[test]
fn one_more_than_the_depth_is_dropped_and_counted() {
    let mut ring = ring(2);
    for _ in 0..3 {
        ring.accept(ms(0), ROUTE, press(60), true, None);
    }
    assert_eq!(ring.counts().dropped.queue_full, 1);
    assert_eq!(ring.counts().in_flight, 2);
}

#[test]
fn a_call_written_late_is_dropped_for_its_age() {
    let mut ring = ring(8);
    ring.accept(ms(0), ROUTE, press(60), true, None);
    ring.accept(ms(200), ROUTE, press(61), true, None);
    assert_eq!(write_all(&mut ring, ms(251)), [CallId(2)]);
    assert_eq!(ring.counts().dropped.too_old, 1);
}

#[test]
fn only_the_call_under_way_can_be_answered_and_only_once() {
    let mut ring = ring(8);
    ring.accept(ms(0), ROUTE, press(60), true, None);
    ring.accept(ms(0), ROUTE, press(61), true, None);
    assert!(ring.answered(ms(1), CallId(1), Outcome::Ok).is_err(), "not written yet");
    write_all(&mut ring, ms(1));
    assert!(ring.answered(ms(2), CallId(2), Outcome::Ok).is_err(), "not its turn");
    let answered = ring.answered(ms(3), CallId(1), Outcome::Ok).unwrap();
    assert_eq!(answered.latency, Duration::from_millis(3));
    let twice = ring.answered(ms(3), CallId(1), Outcome::Ok).unwrap_err();
    assert_eq!(twice.to_string(), "an answer to call 1, while call 2 is under way");
    ring.answered(ms(3), CallId(2), Outcome::Ok).unwrap();
    let unasked = ring.answered(ms(3), CallId(9), Outcome::Ok).unwrap_err();
    assert_eq!(unasked.to_string(), "an answer to call 9, while none is under way");
}

#[test]
fn after_a_crash_the_oldest_written_call_failed_and_the_young_others_are_sent_again() {
    let mut ring = ring(8);
    for note in 60..64 {
        ring.accept(ms(u64::from(note - 60) * 100), ROUTE, press(note), true, None);
    }
    write_all(&mut ring, ms(100));
    ring.crashed(false);
    assert_eq!(ring.counts().failed, 1);
    assert_eq!(ring.counts().in_flight, 3);
    assert_eq!(write_all(&mut ring, ms(400)), [CallId(3), CallId(4)], "call 2 is 300 ms old");
    assert!(balanced(&ring));
}

#[test]
fn a_crash_with_no_call_under_way_fails_none() {
    let mut ring = ring(8);
    ring.accept(ms(0), ROUTE, press(60), true, None);
    ring.crashed(false);
    assert_eq!((ring.counts().failed, ring.counts().in_flight), (0, 1));
}

#[test]
fn the_deadline_runs_from_the_later_of_write_and_previous_answer() {
    let mut ring = ring(8);
    ring.accept(ms(0), ROUTE, press(60), true, None);
    ring.accept(ms(0), ROUTE, press(61), true, None);
    assert!(ring.deadline(DEFAULT).is_none(), "nothing is under way");
    write_all(&mut ring, ms(10));
    assert_eq!(ring.deadline(DEFAULT).unwrap().0, ms(110));
    ring.answered(ms(90), CallId(1), Outcome::Ok).unwrap();
    assert_eq!(ring.deadline(DEFAULT).unwrap().0, ms(190));
    ring.accept(ms(90), Route { timeout: Some(Duration::from_millis(5)), ..ROUTE }, press(62), true, None);
    write_all(&mut ring, ms(90));
    ring.answered(ms(100), CallId(2), Outcome::Ok).unwrap();
    assert_eq!(ring.deadline(DEFAULT).unwrap().0, ms(105), "the mapping's own");
}

#[test]
fn a_release_is_never_dropped_without_its_press_nor_kept_without_it() {
    let mut ring = ring(1);
    ring.accept(ms(0), PAIRED, press(60), true, None);
    ring.accept(ms(1), PAIRED, press(61), true, None); // dropped: full
    ring.accept(ms(2), PAIRED, release(60), true, None); // over the depth, but its press is in
    ring.accept(ms(3), PAIRED, release(61), true, None); // goes with its press
    assert_eq!(ring.counts().in_flight, 2);
    assert_eq!(ring.counts().dropped.queue_full, 2);
    // the press gets too old before it is written: its release goes too
    assert!(write_all(&mut ring, ms(1000)).is_empty());
    assert_eq!(ring.counts().dropped.too_old, 2);
    // the press was made: its release is made however old
    ring.accept(ms(2000), PAIRED, press(60), true, None);
    write_all(&mut ring, ms(2000));
    ring.accept(ms(2001), PAIRED, release(60), true, None);
    assert_eq!(write_all(&mut ring, ms(9000)).len(), 1);
}

#[test]
fn the_release_of_a_made_press_is_made_after_an_earlier_press_was_refused() {
    let mut ring = ring(8);
    ring.accept(ms(0), PAIRED, press(60), true, None);
    ring.accept(ms(1), PAIRED, release(60), true, None);
    write_all(&mut ring, ms(1));
    ring.refused_as_too_old(ms(300), CallId(1)).unwrap();
    ring.refused_as_too_old(ms(300), CallId(2)).unwrap();
    ring.accept(ms(301), PAIRED, press(60), true, None);
    ring.accept(ms(302), PAIRED, release(60), true, None);
    assert_eq!(write_all(&mut ring, ms(302)).len(), 2);
    assert!(balanced(&ring));
}

#[test]
fn a_flood_of_presses_and_releases_cannot_grow_the_ring() {
    let mut ring = ring(4);
    for round in 0..10_000 {
        ring.accept(ms(round), PAIRED, press(60), true, None);
        ring.accept(ms(round), PAIRED, release(60), true, None);
    }
    assert!(ring.counts().in_flight <= 8, "{}", ring.counts().in_flight);
    assert!(balanced(&ring));
}

#[test]
fn whoever_waits_is_told_how_the_call_ended() {
    let (sender, receiver) = std::sync::mpsc::sync_channel(1);
    let mut ring = ring(1);
    ring.accept(ms(0), ROUTE, press(60), false, Some(sender.clone()));
    assert_eq!(receiver.try_recv(), Ok(CallEnd::Dropped(DropReason::NotRunning)));
    ring.accept(ms(0), ROUTE, press(60), true, Some(sender.clone()));
    write_all(&mut ring, ms(0));
    ring.crashed(true);
    assert_eq!(receiver.try_recv(), Ok(CallEnd::TimedOut));
    assert_eq!(ring.counts().timed_out, 1);
}

proptest! {
    #[test]
    fn the_sum_holds_after_every_event(events in proptest::collection::vec((0u8..9, 0u64..5, 0u8..4), 1..300)) {
        let mut ring = ring(3);
        let mut now = 0;
        for (event, step, note) in events {
            now += step * 60;
            match event {
                0 | 1 => ring.accept(ms(now), PAIRED, press(note), true, None),
                2 => ring.accept(ms(now), PAIRED, release(note), true, None),
                3 => { write_all(&mut ring, ms(now)); }
                4 | 5 => if let Some(id) = ring.deadline(DEFAULT).map(|(.., call)| call.id) {
                    ring.answered(ms(now), id, Outcome::Ok).unwrap();
                },
                6 if note == 0 => if let Some(id) = ring.deadline(DEFAULT).map(|(.., call)| call.id) {
                    ring.refused_as_too_old(ms(now), id).unwrap();
                },
                6 => ring.crashed(step == 0),
                7 => ring.expire(ms(now)),
                _ => ring.forget_bindings(|binding| binding.0 == u32::from(note)),
            }
            prop_assert!(balanced(&ring), "{:?}", ring.counts());
        }
        ring.close();
        prop_assert_eq!(ring.counts().in_flight, 0);
        prop_assert!(balanced(&ring));
    }
}
