use super::*;
use crate::workers::broker::allowance::REQUESTS;
use midimon_shared::PluginId;
use midimon_shared::host::{HostCall, Mouse, SystemControl};
use std::sync::Mutex;

fn input() -> Grants {
    Grants::parse(["input"]).unwrap()
}

fn stroke(id: u32) -> HostRequest {
    HostRequest { id, call: HostCall::Keystroke("a".into()) }
}

fn notice(id: u32) -> HostRequest {
    HostRequest { id, call: HostCall::Notify { title: String::new(), body: String::new() } }
}

fn take(desk: &mut Desk, now: Time, grants: &[&Grants], request: HostRequest) -> Taken {
    desk.take(now, grants, request, &|device| Ok(device.to_owned()))
}

fn open() -> Desk {
    let mut desk = Desk::default();
    desk.open();
    desk
}

const NOW: Time = Time::from_millis(1_000_000);

#[test]
fn one_request_is_out_at_a_time_and_numbers_rise() {
    let mut desk = open();
    assert!(matches!(take(&mut desk, NOW, &[&input()], stroke(5)), Taken::Permitted(..)));
    assert!(matches!(take(&mut desk, NOW, &[&input()], stroke(6)), Taken::Violation(_)));
    assert_eq!(desk.answered(None).unwrap().0, 5);
    assert_eq!(desk.answered(None), None);
    for id in [0, 4, 5] {
        assert!(matches!(take(&mut desk, NOW, &[&input()], stroke(id)), Taken::Violation(_)), "{id}");
    }
    assert!(matches!(take(&mut desk, NOW, &[&input()], stroke(u32::MAX)), Taken::Permitted(..)));
    assert_eq!(desk.answered(Some(RefusalKind::Failed)).unwrap().0, u32::MAX);
    assert_eq!(desk.counts(), RequestCounts { allowed: 2, refused: 0 });
}

#[test]
fn grants_that_are_about_to_change_allow_only_what_stays() {
    let mut desk = open();
    assert!(matches!(take(&mut desk, NOW, &[&input(), &Grants::default()], stroke(1)), Taken::Refused(_)));
    desk.answered(Some(RefusalKind::NotGranted));
    assert!(matches!(take(&mut desk, NOW, &[&Grants::default(), &input()], stroke(2)), Taken::Refused(_)));
    desk.answered(Some(RefusalKind::NotGranted));
    assert!(matches!(take(&mut desk, NOW, &[&input(), &input()], stroke(3)), Taken::Permitted(..)));
    assert!(matches!(take(&mut open(), NOW, &[], stroke(1)), Taken::Refused(_)));
    assert_eq!(desk.counts().refused, 2);
}

#[test]
fn one_too_many_is_answered_late_so_that_a_flood_is_slow() {
    let mut desk = open();
    let mut now = NOW;
    let mut told = 0;
    for id in 1..=10 {
        match take(&mut desk, now, &[&Grants::default()], notice(id)) {
            Taken::Permitted(..) => drop(desk.answered(None)),
            Taken::HeldBack => {
                assert!(desk.due(now).is_none());
                assert!(matches!(take(&mut desk, now, &[], notice(id + 1)), Taken::Violation(_)));
                now = desk.next_timer().unwrap();
                let refusal = desk.due(now).unwrap();
                assert_eq!(refusal.kind, RefusalKind::TooMany);
                assert_eq!(desk.answered(Some(refusal.kind)).unwrap().0, id);
                told += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((told, now.since(NOW)), (7, 7 * HOLD));
}

#[test]
fn a_flood_of_what_is_not_granted_is_slow_too() {
    let mut desk = open();
    let mut held_back = 0;
    for id in 1..=REQUESTS.1 + 10 {
        let taken = take(&mut desk, NOW, &[&Grants::default()], stroke(id));
        held_back += u32::from(matches!(taken, Taken::HeldBack));
        desk.due(NOW + HOLD);
        desk.answered(Some(RefusalKind::NotGranted));
    }
    assert_eq!(held_back, 10);
}

#[derive(Debug, Default)]
struct Recorder(Mutex<Vec<(String, MidiMessage)>>);

impl Effects for Recorder {
    fn send_midi(&self, port: &str, message: &MidiMessage) -> Result<(), HostRefusal> {
        self.0.lock().unwrap().push((port.to_owned(), message.clone()));
        Ok(())
    }
    fn keystroke(&self, _: &str) -> Result<(), HostRefusal> {
        unreachable!()
    }
    fn text(&self, _: &str) -> Result<(), HostRefusal> {
        unreachable!()
    }
    fn mouse(&self, _: Mouse) -> Result<(), HostRefusal> {
        unreachable!()
    }
    fn system(&self, _: SystemControl) -> Result<(), HostRefusal> {
        unreachable!()
    }
    fn notify(&self, _: &PluginId, _: &str, _: &str) -> Result<(), HostRefusal> {
        unreachable!()
    }
    fn emit(&self, _: &PluginId, _: &str, _: &str) -> Result<(), HostRefusal> {
        unreachable!()
    }
    fn set_mode(&self, _: &PluginId, _: &str) -> Result<(), HostRefusal> {
        unreachable!()
    }
    fn output_of(&self, _: &str) -> Result<String, HostRefusal> {
        unreachable!()
    }
}

#[test]
fn with_the_process_its_notes_its_waits_and_its_turn_end() {
    let mut desk = open();
    let Taken::Permitted(_, session) = take(&mut desk, NOW, &[&input()], stroke(7)) else { panic!() };
    desk.sent("synth", &MidiMessage::parse(&[0x90, 60, 100]).unwrap());
    let recorder = Recorder::default();
    let left = desk.close(Some(&recorder)).map(|subject| subject.what);
    assert_eq!((left, desk.counts().allowed), (Some("keystroke"), 1), "what may have been done is not forgotten");
    let off = ("synth".to_owned(), MidiMessage::parse(&[0x80, 60, 64]).unwrap());
    assert_eq!(*recorder.0.lock().unwrap(), [off]);
    let ended = super::super::wait::wait(&session, &[], std::time::Instant::now());
    assert_eq!(ended, Ok(super::super::wait::Woken::Ended));
    // what is left in its pipe, and the answer that comes too late, are nobody's
    assert!(matches!(take(&mut desk, NOW, &[&input()], stroke(8)), Taken::Nothing));
    assert_eq!(desk.answered(None), None);
    desk.open();
    assert!(matches!(take(&mut desk, NOW, &[&input()], stroke(1)), Taken::Permitted(..)));
}
