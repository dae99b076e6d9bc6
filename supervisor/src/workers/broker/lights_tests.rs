use super::*;
use proptest::prelude::*;

fn lamp(note: u8) -> Lamp {
    Lamp::new("pad".into(), Channel::from_status(0), Light::Note(note)).unwrap()
}

fn bytes(messages: Vec<(String, MidiMessage)>) -> Vec<[u8; 3]> {
    let bytes = |(_, message)| match message {
        MidiMessage::Channel(message) => message.to_bytes(),
        MidiMessage::SysEx(_) => panic!("no light is set by that"),
    };
    messages.into_iter().map(bytes).collect()
}

const NOW: Time = Time::from_millis(1_000_000);

fn on(value: u8) -> U7 {
    U7::new(value).unwrap()
}

#[test]
fn a_light_is_set_at_once_by_the_message_that_names_it() {
    let mut lights = Lights::default();
    let knob = Lamp::new("knobs".into(), Channel::from_status(15), Light::Control(7)).unwrap();
    lights.set(NOW, lamp(60), on(5)).unwrap();
    lights.set(NOW, knob.clone(), on(127)).unwrap();
    assert_eq!(lights.next(), Some(NOW));
    let sent = lights.due(NOW);
    assert_eq!((sent[0].0.as_str(), sent[1].0.as_str()), ("pad", "knobs"));
    assert_eq!(bytes(sent), [[0x90, 60, 5], [0xBF, 7, 127]]);
    lights.set(NOW, lamp(60), on(0)).unwrap();
    assert_eq!(bytes(lights.due(NOW)), [[0x90, 60, 0]]);
    assert_eq!((lights.next(), lights.counts()), (None, (3, 0)));
    assert_eq!(bytes(lights.release()), [[0xBF, 7, 0]], "what is off is not switched off again");
    assert_eq!(Lamp::new("pad".into(), Channel::from_status(0), Light::Note(128)), None);
}

#[test]
fn over_the_rate_the_latest_value_of_each_light_wins() {
    let mut lights = Lights::default();
    for value in 1..=100 {
        for note in 0..100 {
            lights.set(NOW, lamp(note), on(value)).unwrap();
        }
    }
    // the first of each took its place in the queue; none was sent before `due`
    let burst = lights.due(NOW);
    assert_eq!(bytes(burst), (0..100).map(|note| [0x90, note, 100]).collect::<Vec<_>>());
    assert_eq!(lights.counts(), (100, 9_900));
    for note in 0..100 {
        lights.set(NOW, lamp(note), on(1)).unwrap();
    }
    assert_eq!(lights.due(NOW).len(), 28, "the rest of the burst");
    let mut now = NOW;
    let mut last = Vec::new();
    while let Some(next) = lights.next() {
        assert!(next > now);
        now = next;
        last.extend(bytes(lights.due(now)));
    }
    assert_eq!(last, (28..100).map(|note| [0x90, note, 1]).collect::<Vec<_>>());
    assert_eq!(now.since(NOW).as_millis(), 72 * 1000 / u128::from(LIGHTS.0));
}

#[test]
fn one_light_too_many_is_refused_and_one_switched_off_makes_room() {
    let mut lights = Lights::default();
    let lamp = |index: usize| {
        Lamp::new("pad".into(), Channel::from_status((index / 128) as u8), Light::Control((index % 128) as u8)).unwrap()
    };
    for index in 0..MAX_LIGHTS {
        lights.set(NOW, lamp(index), on(1)).unwrap();
    }
    assert_eq!(lights.set(NOW, lamp(MAX_LIGHTS), on(1)).unwrap_err().kind, RefusalKind::TooMany);
    let mut now = NOW;
    while let Some(next) = lights.next() {
        now = next;
        lights.due(now);
    }
    lights.set(now, lamp(0), on(0)).unwrap();
    while let Some(next) = lights.next() {
        now = next + std::time::Duration::from_secs(1);
        lights.due(now);
    }
    lights.set(now, lamp(MAX_LIGHTS), on(1)).unwrap();
}

proptest! {
    /// Whatever was set when: once all is sent each light has its latest value, and after the
    /// release none is on.
    #[test]
    fn every_light_ends_with_its_latest_value(
        sets in prop::collection::vec((0u8..6, 0u8..128, 0u64..20), 0..400),
        stop_early in any::<bool>(),
    ) {
        let (mut lights, mut now) = (Lights::default(), NOW);
        let (mut wanted, mut shown) = (BTreeMap::new(), BTreeMap::new());
        let show = |messages, shown: &mut BTreeMap<u8, u8>| {
            for [_, note, value] in bytes(messages) {
                shown.insert(note, value);
            }
        };
        for (note, value, ms) in sets {
            now = now + std::time::Duration::from_millis(ms);
            lights.set(now, lamp(note), on(value)).unwrap();
            wanted.insert(note, value);
            show(lights.due(now), &mut shown);
        }
        if !stop_early {
            while let Some(next) = lights.next() {
                show(lights.due(next), &mut shown);
            }
            prop_assert_eq!(&wanted, &shown);
        }
        show(lights.release(), &mut shown);
        prop_assert!(shown.values().all(|&value| value == 0));
        prop_assert_eq!(lights.next(), None);
    }
}
