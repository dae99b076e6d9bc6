//! Events of OBS as events of the plugin, for mappings. Pure.

use crate::protocol::Event;
use serde_json::Value;

/// Longest value, in bytes: what midimon takes.
const MAX_VALUE: usize = 1024;

/// An event of the plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emitted {
    /// Its name.
    pub event: &'static str,
    /// What of it.
    pub value: String,
}

impl Emitted {
    /// One, its value cut to what midimon takes.
    pub fn new(event: &'static str, value: &str) -> Self {
        Self { event, value: value[..value.floor_char_boundary(MAX_VALUE)].to_owned() }
    }
}

/// The plugin's event for one of OBS's; `None` where there is none.
pub fn of(event: &Event) -> Option<Emitted> {
    let text = |field: &str| event.data[field].as_str();
    let (name, value) = match event.kind.as_str() {
        "CurrentProgramSceneChanged" => ("scene_changed", text("sceneName")?),
        "CurrentPreviewSceneChanged" => ("preview_changed", text("sceneName")?),
        "RecordStateChanged" => ("record", output(text("outputState")?)?),
        "StreamStateChanged" => ("stream", output(text("outputState")?)?),
        "ReplayBufferStateChanged" => ("replay_buffer", output(text("outputState")?)?),
        "ReplayBufferSaved" => ("replay_saved", text("savedReplayPath")?),
        "StudioModeStateChanged" => {
            ("studio_mode", if event.data["studioModeEnabled"].as_bool()? { "on" } else { "off" })
        }
        "InputMuteStateChanged" => {
            (if event.data["inputMuted"].as_bool()? { "muted" } else { "unmuted" }, text("inputName")?)
        }
        "ExitStarted" => ("exiting", ""),
        _ => return None,
    };
    Some(Emitted::new(name, value))
}

/// `ObsOutputState` without its prefix.
fn output(state: &str) -> Option<&'static str> {
    Some(match state {
        "OBS_WEBSOCKET_OUTPUT_STARTING" => "starting",
        "OBS_WEBSOCKET_OUTPUT_STARTED" => "started",
        "OBS_WEBSOCKET_OUTPUT_STOPPING" => "stopping",
        "OBS_WEBSOCKET_OUTPUT_STOPPED" => "stopped",
        "OBS_WEBSOCKET_OUTPUT_RECONNECTING" => "reconnecting",
        "OBS_WEBSOCKET_OUTPUT_RECONNECTED" => "reconnected",
        "OBS_WEBSOCKET_OUTPUT_PAUSED" => "paused",
        "OBS_WEBSOCKET_OUTPUT_RESUMED" => "resumed",
        _ => return None,
    })
}

/// What is the case after connecting, as events, so that lights are right from the start:
/// the data of `GetCurrentProgramScene`, `GetRecordStatus` and `GetStreamStatus`.
pub fn state(scene: &Value, record: &Value, stream: &Value) -> Vec<Emitted> {
    let active = |data: &Value| data["outputActive"].as_bool();
    let record = active(record).map(|active| match (active, record["outputPaused"].as_bool()) {
        (true, Some(true)) => "paused",
        (true, _) => "started",
        (false, _) => "stopped",
    });
    let stream = active(stream).map(|active| if active { "started" } else { "stopped" });
    let named = [("scene_changed", scene["currentProgramSceneName"].as_str()), ("record", record), ("stream", stream)];
    named.into_iter().filter_map(|(event, value)| Some(Emitted::new(event, value?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn emitted(kind: &str, data: Value) -> Option<(&'static str, String)> {
        of(&Event { kind: kind.to_owned(), data }).map(|emitted| (emitted.event, emitted.value))
    }

    #[test]
    fn events_of_obs_become_the_plugins() {
        for (kind, data, event, value) in [
            ("CurrentProgramSceneChanged", json!({ "sceneName": "Live", "sceneUuid": "u" }), "scene_changed", "Live"),
            ("CurrentPreviewSceneChanged", json!({ "sceneName": "Next" }), "preview_changed", "Next"),
            (
                "RecordStateChanged",
                json!({ "outputActive": true, "outputState": "OBS_WEBSOCKET_OUTPUT_STARTED", "outputPath": "/v" }),
                "record",
                "started",
            ),
            (
                "StreamStateChanged",
                json!({ "outputState": "OBS_WEBSOCKET_OUTPUT_RECONNECTING" }),
                "stream",
                "reconnecting",
            ),
            (
                "ReplayBufferStateChanged",
                json!({ "outputState": "OBS_WEBSOCKET_OUTPUT_STOPPED" }),
                "replay_buffer",
                "stopped",
            ),
            ("ReplayBufferSaved", json!({ "savedReplayPath": "/v/r.mkv" }), "replay_saved", "/v/r.mkv"),
            ("StudioModeStateChanged", json!({ "studioModeEnabled": true }), "studio_mode", "on"),
            ("InputMuteStateChanged", json!({ "inputName": "Mic", "inputMuted": true }), "muted", "Mic"),
            ("InputMuteStateChanged", json!({ "inputName": "Mic", "inputMuted": false }), "unmuted", "Mic"),
            ("ExitStarted", Value::Null, "exiting", ""),
        ] {
            assert_eq!(emitted(kind, data), Some((event, value.to_owned())), "{kind}");
        }
    }

    #[test]
    fn what_is_unknown_or_lacks_its_fields_is_no_event() {
        for (kind, data) in [
            ("SceneListChanged", json!({})),
            ("CurrentProgramSceneChanged", json!({ "sceneName": 7 })),
            ("RecordStateChanged", json!({ "outputState": "OBS_WEBSOCKET_OUTPUT_UNKNOWN" })),
            ("RecordStateChanged", Value::Null),
        ] {
            assert_eq!(emitted(kind, data), None, "{kind}");
        }
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let long = emitted("CurrentProgramSceneChanged", json!({ "sceneName": "ü".repeat(2_000) + "x" })).unwrap().1;
        assert_eq!(long, "ü".repeat(512));
        let odd =
            emitted("CurrentProgramSceneChanged", json!({ "sceneName": format!("x{}", "ü".repeat(600)) })).unwrap().1;
        assert_eq!(odd.len(), 1023);
    }

    #[test]
    fn the_state_after_connecting_is_told_as_far_as_it_is_known() {
        let told = |scene: Value, record: Value, stream: Value| -> Vec<String> {
            state(&scene, &record, &stream).into_iter().map(|it| format!("{}={}", it.event, it.value)).collect()
        };
        let scene = json!({ "currentProgramSceneName": "A" });
        let paused = json!({ "outputActive": true, "outputPaused": true });
        assert_eq!(
            told(scene.clone(), paused, json!({ "outputActive": false })),
            ["scene_changed=A", "record=paused", "stream=stopped"]
        );
        assert_eq!(told(scene, Value::Null, Value::Null), ["scene_changed=A"]);
    }
}
