use super::*;
use proptest::prelude::*;

/// Places whose calls have no answer.
#[derive(Default)]
struct Out(Vec<Place>);

impl Calls for Out {
    fn any(&self) -> bool {
        !self.0.is_empty()
    }
    fn of(&self, place: Place) -> bool {
        self.0.contains(&place)
    }
}

fn at(ms: u64) -> Time {
    Time::from_millis(1_000_000 + ms)
}

fn timer(id: u32, ms: u32, every: bool) -> TimerOrder {
    order(id, ms, every, &format!("act {id}"), "").unwrap()
}

fn actions(timers: &mut Timers, now: Time, out: &Out) -> Vec<String> {
    timers.due(now, out).into_iter().map(|(_, spec)| spec.action.to_string()).collect()
}

#[test]
fn once_comes_once_and_every_comes_every_time_without_drift() {
    let (mut timers, none) = (Timers::default(), Out::default());
    timers.set(at(0), timer(1, 25, false)).unwrap();
    timers.set(at(0), timer(2, 10, true)).unwrap();
    assert_eq!(timers.next(), Some(at(10)));
    assert!(timers.due(at(9), &none).is_empty());
    assert_eq!(actions(&mut timers, at(13), &none), ["act 2"]);
    assert_eq!(timers.next(), Some(at(20)), "3 ms late is not 3 ms later for ever");
    assert_eq!(actions(&mut timers, at(20), &none), ["act 2"]);
    assert_eq!(actions(&mut timers, at(25), &none), ["act 1"]);
    assert_eq!(actions(&mut timers, at(30), &none), ["act 2"]);
    timers.cancel(2);
    timers.cancel(77);
    assert_eq!((timers.next(), timers.count(), timers.calls()), (None, 0, (4, 0)));
}

#[test]
fn a_call_that_is_due_while_its_predecessor_waits_is_left_out_and_counted() {
    let mut timers = Timers::default();
    timers.set(at(0), timer(1, 10, true)).unwrap();
    timers.set(at(0), timer(2, 10, true)).unwrap();
    assert_eq!(actions(&mut timers, at(10), &Out::default()).len(), 2);
    assert_eq!(actions(&mut timers, at(20), &Out(vec![0])), ["act 2"], "others go on");
    assert_eq!(timers.calls(), (3, 1));
    assert_eq!(actions(&mut timers, at(30), &Out::default()).len(), 2);
    // what was not looked at in time comes once, not in a burst
    assert_eq!(actions(&mut timers, at(75), &Out::default()).len(), 2);
    assert_eq!((timers.next(), timers.calls()), (Some(at(80)), (7, 7)));
}

#[test]
fn a_call_that_is_to_come_once_is_put_off_behind_others_and_never_lost() {
    let mut timers = Timers::default();
    timers.set(at(0), timer(1, 12, false)).unwrap();
    timers.set(at(0), timer(2, 10, false)).unwrap();
    assert!(actions(&mut timers, at(12), &Out(vec![31])).is_empty());
    assert_eq!(timers.next(), Some(at(22)));
    assert_eq!(actions(&mut timers, at(22), &Out::default()), ["act 2"], "the one that waits for longest");
    assert_eq!(actions(&mut timers, at(32), &Out::default()), ["act 1"]);
    assert_eq!((timers.next(), timers.calls()), (None, (2, 0)));
}

#[test]
fn a_call_that_is_to_come_once_comes_before_those_that_come_again_and_within_a_second() {
    let mut timers = Timers::default();
    timers.set(at(0), timer(1, 10, true)).unwrap();
    timers.set(at(0), timer(2, 10, false)).unwrap();
    assert_eq!(actions(&mut timers, at(10), &Out::default()), ["act 2", "act 1"]);
    timers.set(at(10), timer(3, 10, false)).unwrap();
    let came = (20..).step_by(10).find(|&ms| actions(&mut timers, at(ms), &Out(vec![0])) == ["act 3"]);
    assert_eq!(came, Some(1_020));
    // its own last call is waited for, however long
    timers.set(at(1_020), timer(4, 10, false)).unwrap();
    let mut never = (1_030..5_000).step_by(10).flat_map(|ms| actions(&mut timers, at(ms), &Out(vec![1])));
    assert!(!never.any(|action| action == "act 4"));
}

#[test]
fn an_id_is_set_anew_one_timer_too_many_is_refused_and_a_place_comes_back() {
    let mut timers = Timers::default();
    for id in 0..MAX_TIMERS as u32 {
        timers.set(at(0), timer(id, 1_000, true)).unwrap();
    }
    assert_eq!(timers.set(at(0), timer(99, 10, true)).unwrap_err().kind, RefusalKind::TooMany);
    timers.set(at(500), timer(5, 10, false)).unwrap();
    assert_eq!((timers.next(), timers.count()), (Some(at(510)), MAX_TIMERS as u64));
    assert_eq!(actions(&mut timers, at(510), &Out::default()), ["act 5"]);
    timers.set(at(510), timer(99, 10, true)).unwrap();
    timers.clear();
    assert_eq!((timers.next(), timers.calls().0), (None, 1));
}

#[test]
fn what_is_out_of_range_is_refused_and_what_is_just_within_is_not() {
    let kind = |result: Result<TimerOrder, HostRefusal>| result.map(drop).map_err(|refusal| refusal.kind);
    let long = "x".repeat(MAX_ACTION + 1);
    let params = |length: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(length - 8));
    for (ms, action, params) in [
        (MIN_TIMER_MS - 1, "a", ""),
        (MAX_TIMER_MS + 1, "a", ""),
        (10, long.as_str(), ""),
        (10, "a", "[]"),
        (10, "a", "{"),
        (10, "a", &"[".repeat(4_000)),
        (10, "a", &params(MAX_TIMER_PARAMS + 1)),
    ] {
        assert_eq!(kind(order(1, ms, true, action, params)), Err(RefusalKind::Invalid), "{ms} {action} {params}");
    }
    for (ms, action, params) in
        [(MIN_TIMER_MS, &long[1..], ""), (MAX_TIMER_MS, "", "{}"), (10, "a", &params(MAX_TIMER_PARAMS))]
    {
        assert_eq!(kind(order(u32::MAX, ms, true, action, params)), Ok(()), "{ms} {action} {params}");
    }
}

proptest! {
    /// Whatever is set, cancelled and waits: nothing comes early, every interval is either a call
    /// or left out, and what is next is always ahead.
    #[test]
    fn every_interval_is_a_call_or_left_out(
        ms in MIN_TIMER_MS..500,
        steps in prop::collection::vec((0u64..300, any::<bool>()), 1..60),
    ) {
        let mut timers = Timers::default();
        timers.set(at(0), timer(1, ms, true)).unwrap();
        let mut now = 0;
        for (step, is_out) in steps {
            now += step;
            let out = Out(if is_out { vec![0] } else { vec![] });
            let came = timers.due(at(now), &out).len();
            prop_assert!(came <= usize::from(!is_out));
            let (calls, left_out) = timers.calls();
            prop_assert_eq!(calls + left_out, now / u64::from(ms));
            prop_assert!(timers.next().unwrap() > at(now));
        }
    }
}
