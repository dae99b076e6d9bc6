//! What each action asks of OBS. Pure, but for the answers it is given.

use crate::protocol::{Refused, Reply, Request};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Lowest volume in OBS, in dB (`SetInputVolume`).
const QUIETEST_DB: f64 = -100.0;
/// Highest, in dB.
const LOUDEST_DB: f64 = 26.0;
/// Highest as a multiplier.
const LOUDEST: f64 = 20.0;
/// Highest velocity or controller value.
const MAX_VELOCITY: u8 = 127;
/// Most requests in a batch.
const MAX_BATCH: usize = 32;
/// What is shown of an answer, in characters.
const MAX_SHOWN: usize = 1_000;

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// These, one after the other.
    Requests(Vec<Request>),
    /// Show or hide a source, or turn it over; the scene is the one on air where none is named.
    Source { scene: Option<String>, source: String, visible: Option<bool> },
    /// Studio mode on where it is off, and off where it is on.
    TurnStudioMode,
}

/// Why an action cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum Misfit {
    /// No such action.
    #[error("there is no action '{0}'")]
    Unknown(String),
    /// Its parameters do not fit.
    #[error("parameters of {0}: {1}")]
    Params(String, serde_json::Error),
    /// Nothing says how loud.
    #[error(
        "set_volume needs `db` (-100 to 26) or `level` (0 to 1, up to 20), or a trigger that has a velocity or value"
    )]
    NoVolume,
    /// Two things say how loud.
    #[error("set_volume takes `db` or `level`, not both")]
    TwoVolumes,
    /// A number that OBS would not take.
    #[error("`{name}` is {given}: it goes from {from} to {to}")]
    Range {
        /// Which.
        name: &'static str,
        /// As given.
        given: f64,
        /// Lowest.
        from: f64,
        /// Highest.
        to: f64,
    },
    /// A batch of none, or too many.
    #[error("a batch has 1 to {MAX_BATCH} requests")]
    Batch,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scene {
    scene: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Input {
    input: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mute {
    input: String,
    muted: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Volume {
    input: String,
    db: Option<f64>,
    level: Option<f64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    source: String,
    scene: Option<String>,
    visible: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StudioMode {
    on: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    request: String,
    #[serde(default)]
    data: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch {
    requests: BTreeMap<String, Raw>,
}

impl From<Raw> for Request {
    fn from(raw: Raw) -> Self {
        Self { kind: raw.request, data: raw.data }
    }
}

/// What an action with these parameters (a JSON object) does.
pub fn plan(action: &str, params: &str, velocity: Option<u8>) -> Result<Act, Misfit> {
    let plain = |kind: &str| {
        read::<Nothing>(action, params)?;
        one(Request::plain(kind))
    };
    match action {
        "switch_scene" => {
            let Scene { scene } = read(action, params)?;
            one(Request::new("SetCurrentProgramScene", json!({ "sceneName": scene })))
        }
        "preview_scene" => {
            let Scene { scene } = read(action, params)?;
            one(Request::new("SetCurrentPreviewScene", json!({ "sceneName": scene })))
        }
        "transition" => plain("TriggerStudioModeTransition"),
        "toggle_recording" => plain("ToggleRecord"),
        "start_recording" => plain("StartRecord"),
        "stop_recording" => plain("StopRecord"),
        "pause_recording" => plain("ToggleRecordPause"),
        "toggle_streaming" => plain("ToggleStream"),
        "start_streaming" => plain("StartStream"),
        "stop_streaming" => plain("StopStream"),
        "toggle_replay_buffer" => plain("ToggleReplayBuffer"),
        "start_replay_buffer" => plain("StartReplayBuffer"),
        "stop_replay_buffer" => plain("StopReplayBuffer"),
        "save_replay" => plain("SaveReplayBuffer"),
        "toggle_mute" => {
            let Input { input } = read(action, params)?;
            one(Request::new("ToggleInputMute", json!({ "inputName": input })))
        }
        "set_mute" => {
            let Mute { input, muted } = read(action, params)?;
            one(Request::new("SetInputMute", json!({ "inputName": input, "inputMuted": muted })))
        }
        "set_volume" => one(volume(&read(action, params)?, velocity)?),
        "toggle_source" | "set_source" => {
            let Source { source, scene, visible } = read(action, params)?;
            Ok(Act::Source { scene, source, visible })
        }
        "toggle_studio_mode" => read::<Nothing>(action, params).map(|Nothing {}| Act::TurnStudioMode),
        "set_studio_mode" => {
            let StudioMode { on } = read(action, params)?;
            one(Request::new("SetStudioModeEnabled", json!({ "studioModeEnabled": on })))
        }
        "request" => one(read::<Raw>(action, params)?.into()),
        "batch" => {
            let Batch { requests } = read(action, params)?;
            if !(1..=MAX_BATCH).contains(&requests.len()) {
                return Err(Misfit::Batch);
            }
            Ok(Act::Requests(requests.into_values().map(Request::from).collect()))
        }
        _ => Err(Misfit::Unknown(action.to_owned())),
    }
}

fn one(request: Request) -> Result<Act, Misfit> {
    Ok(Act::Requests(vec![request]))
}

fn read<T: DeserializeOwned>(action: &str, params: &str) -> Result<T, Misfit> {
    serde_json::from_str(params).map_err(|error| Misfit::Params(action.to_owned(), error))
}

fn volume(volume: &Volume, velocity: Option<u8>) -> Result<Request, Misfit> {
    let within = |name, given: f64, from, to| {
        if (from..=to).contains(&given) { Ok(given) } else { Err(Misfit::Range { name, given, from, to }) }
    };
    let (field, value) = match (volume.db, volume.level, velocity) {
        (Some(_), Some(_), _) => return Err(Misfit::TwoVolumes),
        (Some(db), None, _) => ("inputVolumeDb", within("db", db, QUIETEST_DB, LOUDEST_DB)?),
        (None, Some(level), _) => ("inputVolumeMul", within("level", level, 0.0, LOUDEST)?),
        // as OBS's cubic faders: an even way from silence to full volume
        (None, None, Some(velocity)) => {
            ("inputVolumeMul", (f64::from(velocity.min(MAX_VELOCITY)) / f64::from(MAX_VELOCITY)).powi(3))
        }
        (None, None, None) => return Err(Misfit::NoVolume),
    };
    Ok(Request::new("SetInputVolume", json!({ "inputName": volume.input, field: value })))
}

/// Who answers requests.
pub trait Ask {
    /// Why there is no answer, or the answer is no.
    type Error: From<Refused>;

    /// Carries these out one after the other; the replies of those that were tried.
    fn ask(&mut self, requests: &[Request]) -> Result<Vec<Reply>, Self::Error>;

    /// Carries one out.
    fn ask_one(&mut self, request: Request) -> Result<Value, Self::Error> {
        let kind = request.kind.clone();
        let reply = self.ask(&[request])?.pop();
        Ok(reply.unwrap_or_else(|| Err(silent(&kind)))?)
    }
}

/// A reply without what it must have.
fn silent(kind: &str) -> Refused {
    Refused { kind: kind.to_owned(), code: 0, comment: Some("its answer lacks what it should say".to_owned()) }
}

/// Does it; the answer is for people.
pub fn perform<A: Ask>(act: &Act, obs: &mut A) -> Result<String, A::Error> {
    match act {
        Act::Requests(requests) => {
            let replies = obs.ask(requests)?;
            if replies.len() < requests.len() && replies.iter().all(Result::is_ok) {
                return Err(silent(&requests[replies.len()].kind).into());
            }
            let said: Result<Vec<String>, Refused> =
                replies.into_iter().map(|reply| reply.map(|data| said(&data))).collect();
            Ok(said?.join(", "))
        }
        Act::Source { scene, source, visible } => {
            let scene = match scene {
                Some(scene) => scene.clone(),
                None => {
                    let kind = "GetCurrentProgramScene";
                    let current = obs.ask_one(Request::plain(kind))?;
                    current["currentProgramSceneName"].as_str().ok_or_else(|| silent(kind))?.to_owned()
                }
            };
            let kind = "GetSceneItemId";
            let found = obs.ask_one(Request::new(kind, json!({ "sceneName": scene, "sourceName": source })))?;
            let item = found["sceneItemId"].as_i64().ok_or_else(|| silent(kind))?;
            let mut fields = json!({ "sceneName": scene, "sceneItemId": item });
            let visible = match visible {
                Some(visible) => *visible,
                None => {
                    let kind = "GetSceneItemEnabled";
                    let state = obs.ask_one(Request::new(kind, fields.clone()))?;
                    !state["sceneItemEnabled"].as_bool().ok_or_else(|| silent(kind))?
                }
            };
            fields["sceneItemEnabled"] = visible.into();
            obs.ask_one(Request::new("SetSceneItemEnabled", fields))?;
            Ok(format!("{source} in {scene}: {}", if visible { "shown" } else { "hidden" }))
        }
        Act::TurnStudioMode => {
            let kind = "GetStudioModeEnabled";
            let state = obs.ask_one(Request::plain(kind))?;
            let on = !state["studioModeEnabled"].as_bool().ok_or_else(|| silent(kind))?;
            obs.ask_one(Request::new("SetStudioModeEnabled", json!({ "studioModeEnabled": on })))?;
            Ok(format!("studio mode: {}", if on { "on" } else { "off" }))
        }
    }
}

/// A reply's data in words.
fn said(data: &Value) -> String {
    let switch = |name: &str, on: &str, off: &str| data[name].as_bool().map(|is| if is { on } else { off }.to_owned());
    switch("outputActive", "on", "off")
        .or_else(|| switch("inputMuted", "muted", "unmuted"))
        .or_else(|| switch("outputPaused", "paused", "goes on"))
        .or_else(|| data["outputPath"].as_str().map(|path| path.chars().take(MAX_SHOWN).collect()))
        .unwrap_or_else(|| {
            if data.is_null() { "done".to_owned() } else { data.to_string().chars().take(MAX_SHOWN).collect() }
        })
}

#[cfg(test)]
#[path = "actions_tests.rs"]
mod tests;
