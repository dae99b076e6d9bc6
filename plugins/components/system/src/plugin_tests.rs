use super::*;
use midimon_plugin::Ran as Ended;
use midimon_plugin::test::{Answer, Call, Driver, Request};

/// The plugin on a desktop that has these programs; each ends well and writes its name.
fn start(there: &'static [&'static str]) -> Driver<System> {
    let answers = move |request: &Request| match request {
        Request::Run { program, .. } if there.contains(&program.as_str()) => {
            Answer::Ran(Ended { code: 0, stdout: program.clone().into_bytes(), stderr: Vec::new() })
        }
        Request::Run { program, .. } => Answer::Refused(Refusal::Failed, format!("there is no program '{program}'")),
        _ => Answer::Done,
    };
    Driver::start_with(r#"{"screenshots":"/home/ada/Pictures"}"#, answers).unwrap()
}

fn ran(plugin: &Driver<System>) -> Vec<String> {
    let requests = plugin.requests().into_iter();
    requests
        .filter_map(|request| match request {
            Request::Run { program, arguments } => Some(format!("{program} {}", arguments.join(" "))),
            _ => None,
        })
        .collect()
}

fn fader(value: u8) -> Call {
    Call::new("volume").message(Trigger::ControlChange, &[0xB0, 7, value], Some(value))
}

#[test]
fn a_fader_is_followed_at_once_and_then_by_its_latest_position() {
    let mut plugin = start(&["wpctl"]);
    for value in [0, 30, 64] {
        plugin.call(&fader(value)).unwrap();
    }
    let timers =
        |plugin: &Driver<System>| plugin.requests().iter().filter(|it| matches!(it, Request::After { .. })).count();
    assert_eq!((ran(&plugin).len(), timers(&plugin)), (1, 1));
    plugin.call(&Call::new(SETTLE).params(r#"{"fader":0}"#).trigger(Trigger::Timer)).unwrap();
    let set = |percent: u8| format!("wpctl set-volume --limit 1.0 @DEFAULT_AUDIO_SINK@ {percent}%");
    assert_eq!(ran(&plugin), [set(0), set(50)]);
}

#[test]
fn what_midimon_has_no_time_for_is_done_later() {
    let mut plugin = start(&["wpctl"]);
    plugin.answers(|request| match request {
        Request::Run { .. } => Answer::Refused(Refusal::TooMany, "too many programs".into()),
        _ => Answer::Done,
    });
    assert_eq!(plugin.call(&fader(127)).unwrap().answer.as_deref(), Some("soon"));
    assert!(plugin.requests().iter().any(|it| matches!(it, Request::After { action, .. } if action == SETTLE)));
    // a key is not: nobody wants a track skipped a second later
    let error = plugin.call(&Call::new("next")).unwrap_err();
    assert!(error.message().contains("press again"), "{}", error.message());
}

#[test]
fn each_action_runs_its_program() {
    let mut plugin =
        start(&["pactl", "brightnessctl", "playerctl", "notify-send", "loginctl", "scrot", "copyq", "xsel"]);
    let mut call = |action: &str, params: &str| {
        let before = ran(&plugin).len();
        plugin.call(&Call::new(action).params(params).note(36, 127).at(1_700)).unwrap();
        ran(&plugin)[before..].last().cloned().unwrap()
    };
    assert_eq!(call("volume", r#"{"by":-5,"of":"microphone"}"#), "pactl set-source-volume @DEFAULT_SOURCE@ -5%");
    assert_eq!(call("mute", "{}"), "pactl set-sink-mute @DEFAULT_SINK@ toggle");
    assert_eq!(call("brightness", r#"{"percent":30}"#), "brightnessctl --quiet --min-value=1 set 30%");
    assert_eq!(call("play_pause", r#"{"player":"mpd"}"#), "playerctl --player=mpd play-pause");
    assert_eq!(call("next", "{}"), "playerctl next");
    assert_eq!(
        call("notify", r#"{"title":"Pad {note}","body":"{velocity}","urgency":"low"}"#),
        "notify-send --app-name=midimon --urgency low -- Pad 36 127"
    );
    assert_eq!(call("lock", "{}"), "loginctl lock-session");
    assert_eq!(call("screenshot", "{}"), "scrot /home/ada/Pictures/midimon-1700.png");
    assert_eq!(call("copy", r#"{"text":"-n {note}"}"#), "copyq copy -- -n 36");
    assert_eq!(call("paste", "{}"), "xsel --clipboard --output");
    let emitted = |event: &str, value: &str| {
        let expected = Request::Emit { event: event.into(), value: value.into() };
        assert!(plugin.requests().contains(&expected), "{event}");
    };
    emitted("screenshot", "/home/ada/Pictures/midimon-1700.png");
    emitted("clipboard", "xsel");
}

#[test]
fn where_no_program_is_there_the_packages_are_named_and_notifications_are_midimons() {
    let mut plugin = start(&[]);
    for (action, params, packages) in [
        ("volume", r#"{"by":5}"#, "wireplumber"),
        ("brightness", r#"{"by":5}"#, "brightnessctl"),
        ("play", "{}", "playerctl"),
        ("lock", "{}", "xdg-utils"),
        ("screenshot", "{}", "grim"),
        ("copy", r#"{"text":"x"}"#, "copyq"),
        ("paste", "{}", "wl-clipboard"),
    ] {
        let error = plugin.call(&Call::new(action).params(params)).unwrap_err();
        assert!(error.message().contains(packages), "{action}: {}", error.message());
    }
    let title = "ü".repeat(60);
    plugin.call(&Call::new("notify").params(&format!(r#"{{"title":"{title}"}}"#))).unwrap();
    assert!(plugin.requests().contains(&Request::Notify { title: "ü".repeat(40), body: String::new() }));
}

#[test]
fn a_program_that_is_not_granted_says_how_to_grant_it() {
    let mut plugin = start(&[]);
    plugin.answers(|_| Answer::Refused(Refusal::NotGranted, "no".into()));
    let error = plugin.call(&Call::new("next")).unwrap_err();
    assert!(error.message().contains("midimon plugin grant system subprocess:playerctl"), "{}", error.message());
}

#[test]
fn parameters_that_make_no_sense_are_named() {
    let mut plugin = start(&["pactl", "scrot"]);
    for (action, params, words) in [
        ("volume", "{}", "'percent'"),
        ("volume", r#"{"percent":101}"#, "0 to 100"),
        ("volume", r#"{"percent":"loud"}"#, "'percent'"),
        ("mute", r#"{"of":"mic"}"#, "output microphone"),
        ("notify", "{}", "no text"),
        ("dance", "{}", "no action 'dance'"),
    ] {
        let error = plugin.call(&Call::new(action).params(params)).unwrap_err();
        assert!(error.message().contains(words), "{action} {params}: {}", error.message());
    }
    assert_eq!(ran(&plugin), Vec::<String>::new());
    let mut plugin = Driver::<System>::start("{}").unwrap();
    let error = plugin.call(&Call::new("screenshot")).unwrap_err();
    assert!(error.message().contains("config set system screenshots"), "{}", error.message());
}
