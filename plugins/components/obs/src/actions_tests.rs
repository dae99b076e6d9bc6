use super::*;
use std::collections::HashMap;

/// Answers by the request's name, and keeps what it was asked.
#[derive(Default)]
struct Scripted {
    answers: HashMap<&'static str, Value>,
    asked: Vec<Request>,
}

impl Scripted {
    fn new(answers: &[(&'static str, Value)]) -> Self {
        Self { answers: answers.iter().cloned().collect(), asked: Vec::new() }
    }
}

impl Ask for Scripted {
    type Error = Refused;

    fn ask(&mut self, requests: &[Request]) -> Result<Vec<Reply>, Refused> {
        self.asked.extend_from_slice(requests);
        let refused = |kind: &str| Refused { kind: kind.to_owned(), code: 600, comment: None };
        Ok(requests
            .iter()
            .map(|it| self.answers.get(it.kind.as_str()).cloned().ok_or_else(|| refused(&it.kind)))
            .collect())
    }
}

/// The one request of an action.
fn only(action: &str, params: Value, velocity: Option<u8>) -> Request {
    match plan(action, &params.to_string(), velocity).unwrap() {
        Act::Requests(mut requests) if requests.len() == 1 => requests.remove(0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_action_is_its_request() {
    let cases = [
        ("switch_scene", json!({ "scene": "Live" }), "SetCurrentProgramScene", json!({ "sceneName": "Live" })),
        ("preview_scene", json!({ "scene": "Live" }), "SetCurrentPreviewScene", json!({ "sceneName": "Live" })),
        ("transition", json!({}), "TriggerStudioModeTransition", Value::Null),
        ("toggle_recording", json!({}), "ToggleRecord", Value::Null),
        ("start_recording", json!({}), "StartRecord", Value::Null),
        ("stop_recording", json!({}), "StopRecord", Value::Null),
        ("pause_recording", json!({}), "ToggleRecordPause", Value::Null),
        ("toggle_streaming", json!({}), "ToggleStream", Value::Null),
        ("start_streaming", json!({}), "StartStream", Value::Null),
        ("stop_streaming", json!({}), "StopStream", Value::Null),
        ("toggle_replay_buffer", json!({}), "ToggleReplayBuffer", Value::Null),
        ("start_replay_buffer", json!({}), "StartReplayBuffer", Value::Null),
        ("stop_replay_buffer", json!({}), "StopReplayBuffer", Value::Null),
        ("save_replay", json!({}), "SaveReplayBuffer", Value::Null),
        ("toggle_mute", json!({ "input": "Mic" }), "ToggleInputMute", json!({ "inputName": "Mic" })),
        (
            "set_mute",
            json!({ "input": "Mic", "muted": true }),
            "SetInputMute",
            json!({ "inputName": "Mic", "inputMuted": true }),
        ),
        ("set_studio_mode", json!({ "on": true }), "SetStudioModeEnabled", json!({ "studioModeEnabled": true })),
        ("request", json!({ "request": "Sleep", "data": { "a": 1 } }), "Sleep", json!({ "a": 1 })),
    ];
    for (action, params, kind, data) in cases {
        assert_eq!(only(action, params, None), Request::new(kind, data), "{action}");
    }
}

#[test]
fn volume_comes_in_db_as_a_multiplier_or_by_the_fader() {
    let set = |params: Value, velocity| only("set_volume", params, velocity).data;
    assert_eq!(
        set(json!({ "input": "Mic", "db": -12.5 }), None),
        json!({ "inputName": "Mic", "inputVolumeDb": -12.5 })
    );
    assert_eq!(
        set(json!({ "input": "Mic", "level": 0.5 }), None),
        json!({ "inputName": "Mic", "inputVolumeMul": 0.5 })
    );
    let at = |velocity| set(json!({ "input": "Mic" }), Some(velocity))["inputVolumeMul"].as_f64().unwrap();
    assert_eq!((at(0), at(127), at(255)), (0.0, 1.0, 1.0));
    assert!((at(64) - (64.0_f64 / 127.0).powi(3)).abs() < 1e-12);
    assert!((0..127).all(|velocity| at(velocity) < at(velocity + 1)));
}

#[test]
fn a_volume_out_of_range_or_said_twice_or_not_at_all_is_refused() {
    for (params, velocity, word) in [
        (json!({ "input": "Mic", "db": 27 }), None, "`db` is 27"),
        (json!({ "input": "Mic", "db": -101 }), None, "-100"),
        (json!({ "input": "Mic", "level": -0.1 }), None, "`level`"),
        (json!({ "input": "Mic", "db": 0, "level": 1 }), Some(1), "not both"),
        (json!({ "input": "Mic" }), None, "needs `db`"),
    ] {
        let error = plan("set_volume", &params.to_string(), velocity).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn parameters_that_do_not_fit_are_named() {
    for (action, params, word) in [
        ("switch_scene", "{}", "missing field `scene`"),
        ("switch_scene", r#"{"scene":1}"#, "expected a string"),
        ("switch_scene", r#"{"scene":"a","scne":"b"}"#, "unknown field `scne`"),
        ("start_recording", r#"{"x":1}"#, "unknown field `x`"),
        ("batch", r#"{"requests":{}}"#, "1 to 32"),
        ("dance", "{}", "no action 'dance'"),
    ] {
        let error = plan(action, params, None).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    let many: Value = (0..33).map(|number| (number.to_string(), json!({ "request": "A" }))).collect();
    let many = json!({ "requests": many }).to_string();
    assert!(matches!(plan("batch", &many, None), Err(Misfit::Batch)));
}

#[test]
fn a_source_is_turned_over_in_the_scene_on_air() {
    let mut obs = Scripted::new(&[
        ("GetCurrentProgramScene", json!({ "currentProgramSceneName": "Live" })),
        ("GetSceneItemId", json!({ "sceneItemId": 7 })),
        ("GetSceneItemEnabled", json!({ "sceneItemEnabled": true })),
        ("SetSceneItemEnabled", Value::Null),
    ]);
    let act = plan("toggle_source", r#"{"source":"Logo"}"#, None).unwrap();
    assert_eq!(perform(&act, &mut obs), Ok("Logo in Live: hidden".to_owned()));
    assert_eq!(obs.asked[1].data, json!({ "sceneName": "Live", "sourceName": "Logo" }));
    let set = json!({ "sceneName": "Live", "sceneItemId": 7, "sceneItemEnabled": false });
    assert_eq!(obs.asked.last().unwrap(), &Request::new("SetSceneItemEnabled", set));
}

#[test]
fn a_source_whose_scene_and_state_are_given_is_not_asked_about() {
    let mut obs =
        Scripted::new(&[("GetSceneItemId", json!({ "sceneItemId": 3 })), ("SetSceneItemEnabled", Value::Null)]);
    let act = plan("set_source", r#"{"source":"Logo","scene":"B","visible":true}"#, None).unwrap();
    assert_eq!(perform(&act, &mut obs), Ok("Logo in B: shown".to_owned()));
    assert_eq!(obs.asked.len(), 2);
}

#[test]
fn studio_mode_is_turned_over() {
    for (is, on, words) in [(false, true, "studio mode: on"), (true, false, "studio mode: off")] {
        let mut obs = Scripted::new(&[
            ("GetStudioModeEnabled", json!({ "studioModeEnabled": is })),
            ("SetStudioModeEnabled", Value::Null),
        ]);
        assert_eq!(perform(&Act::TurnStudioMode, &mut obs), Ok(words.to_owned()));
        assert_eq!(obs.asked[1].data, json!({ "studioModeEnabled": on }));
    }
}

#[test]
fn what_obs_refuses_and_what_it_leaves_out_are_errors() {
    let act = plan("toggle_source", r#"{"source":"Logo"}"#, None).unwrap();
    let refused = perform(&act, &mut Scripted::default()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "OBS refused GetCurrentProgramScene: there is no such scene, source or input (code 600)"
    );
    let empty = perform(&act, &mut Scripted::new(&[("GetCurrentProgramScene", json!({}))])).unwrap_err();
    assert!(empty.to_string().contains("lacks"), "{empty}");
}

#[test]
fn an_answer_says_what_is_now() {
    for (data, words) in [
        (json!({ "outputActive": true }), "on"),
        (json!({ "inputMuted": false }), "unmuted"),
        (json!({ "outputPath": "/v/a.mkv" }), "/v/a.mkv"),
        (Value::Null, "done"),
        (json!({ "a": 1 }), r#"{"a":1}"#),
    ] {
        assert_eq!(said(&data), words);
    }
}
