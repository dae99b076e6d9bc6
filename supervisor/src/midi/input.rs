//! The inputs a daemon listens to, as `--input` and the configuration name them.

use super::demo::Demo;
use super::device::{DeviceTable, MidiSink};
use super::hardware::Hardware;
use super::hotplug::Hotplug;
use super::replay::{Replay, ReplayError, Speed};
use super::select::Selection;
use super::seq::SeqError;
use super::stdin::RawInput;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

/// One `--input`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InputSpec {
    /// ALSA inputs: those the configuration selects, or the one of this name.
    Hardware(Option<String>),
    /// A Standard MIDI File.
    Replay(PathBuf),
    /// Raw MIDI bytes on standard input.
    Stdin,
    /// Hardware inputs where there are any, else a piece that plays for ever.
    Demo,
}

/// An `--input` that means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown input \"{0}\"; use hardware, hardware:NAME, replay:FILE.mid, stdin or demo")]
pub struct UnknownInput(String);

impl FromStr for InputSpec {
    type Err = UnknownInput;

    fn from_str(text: &str) -> Result<Self, UnknownInput> {
        match text.split_once(':') {
            Some(("hardware", name)) if !name.is_empty() => Ok(Self::Hardware(Some(name.to_owned()))),
            Some(("replay", file)) if !file.is_empty() => Ok(Self::Replay(file.into())),
            None if text == "hardware" => Ok(Self::Hardware(None)),
            None if text == "stdin" => Ok(Self::Stdin),
            None if text == "demo" => Ok(Self::Demo),
            _ => Err(UnknownInput(text.to_owned())),
        }
    }
}

impl fmt::Display for InputSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hardware(None) => formatter.write_str("hardware"),
            Self::Hardware(Some(name)) => write!(formatter, "hardware:{name}"),
            Self::Replay(file) => write!(formatter, "replay:{}", file.display()),
            Self::Stdin => formatter.write_str("stdin"),
            Self::Demo => formatter.write_str("demo"),
        }
    }
}

impl InputSpec {
    /// Whether it comes to an end by itself.
    #[must_use]
    pub fn ends(&self) -> bool {
        matches!(self, Self::Replay(_) | Self::Stdin)
    }
}

/// What holds for all inputs.
#[derive(Clone, Debug, Default)]
pub struct InputOptions {
    /// What [`InputSpec::Hardware`] without a name listens to.
    pub selection: Selection,
    /// Of replays.
    pub speed: Speed,
    /// Whether replays begin again at their end.
    pub repeat: bool,
}

/// An input that cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// No ALSA.
    #[error(transparent)]
    Seq(#[from] SeqError),
    /// A file.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// Anything else.
    #[error("the input {spec} cannot be started: {source}")]
    Start {
        /// Which.
        spec: InputSpec,
        /// Why.
        source: io::Error,
    },
}

/// Inputs that run; dropping it stops them all and tells their devices as gone.
#[derive(Default)]
pub struct Inputs {
    hardware: Vec<Listening>,
    /// Dropping them stops them.
    _others: Vec<Box<dyn Send + Sync>>,
}

struct Listening {
    hardware: Arc<Hardware>,
    /// Whether the configuration chooses what it listens to.
    follows: bool,
}

impl Inputs {
    /// Starts all of them, or none.
    ///
    /// `hotplug` is what [`Hotplug::start`] gave; its error matters only to those who need it.
    ///
    /// # Errors
    /// The first input that cannot be started, see [`InputError`].
    pub fn start(
        specs: &[InputSpec],
        options: &InputOptions,
        devices: &Arc<DeviceTable>,
        hotplug: &Result<Arc<Hotplug>, SeqError>,
        sink: &Arc<dyn MidiSink>,
    ) -> Result<Self, InputError> {
        let mut inputs = Self::default();
        let hardware = |hotplug: &Arc<Hotplug>, selection| {
            Arc::new(Hardware::start(hotplug.clone(), selection, devices.clone(), sink.clone()))
        };
        let mut names = Vec::new();
        let mut device = |name: &str| {
            names.push(name.to_owned());
            match names.iter().filter(|known| *known == name).count() {
                1 => devices.device(name),
                number => devices.device(&format!("{name} #{number}")),
            }
        };
        for spec in specs {
            let failed = |source| InputError::Start { spec: spec.clone(), source };
            let other: Box<dyn Send + Sync> = match spec {
                InputSpec::Hardware(name) => {
                    let hotplug = hotplug.as_ref().map_err(Clone::clone)?;
                    let selection =
                        name.clone().map_or_else(|| options.selection.clone(), |name| Selection::Named(vec![name]));
                    let hardware = hardware(hotplug, selection);
                    inputs.hardware.push(Listening { hardware, follows: name.is_none() });
                    continue;
                }
                InputSpec::Replay(path) => {
                    let device = device(&path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy());
                    Box::new(Replay::start(path, options.speed, options.repeat, device, sink.clone())?)
                }
                InputSpec::Stdin => {
                    Box::new(RawInput::start(io::stdin(), device("stdin"), sink.clone()).map_err(failed)?)
                }
                InputSpec::Demo => {
                    let hardware = hotplug.as_ref().ok().map(|hotplug| hardware(hotplug, options.selection.clone()));
                    let listening = hardware.clone().map(|hardware| Listening { hardware, follows: true });
                    inputs.hardware.extend(listening);
                    let is_used = move || hardware.as_ref().is_some_and(|hardware| !hardware.connected().is_empty());
                    Box::new(Demo::start(device("demo"), sink.clone(), is_used).map_err(failed)?)
                }
            };
            inputs._others.push(other);
        }
        Ok(inputs)
    }

    /// The configuration selects other inputs from now on.
    pub fn select(&self, selection: &Selection) {
        for listening in self.hardware.iter().filter(|listening| listening.follows) {
            listening.hardware.select(selection.clone());
        }
    }

    /// Why selections are not met, for the user.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        self.hardware.iter().filter_map(|listening| listening.hardware.problem()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::device::testing::{Told, recorder};
    use super::*;

    fn start(specs: &[InputSpec]) -> (Result<Inputs, InputError>, std::sync::mpsc::Receiver<Told>) {
        let (sink, told) = recorder();
        let options = InputOptions::default();
        (Inputs::start(specs, &options, &Arc::default(), &Err(SeqError::Missing), &sink), told)
    }

    #[test]
    fn what_is_written_is_what_is_shown() {
        for text in ["hardware", "hardware:Launchpad X:MIDI 1", "replay:/tmp/a:b.mid", "stdin", "demo"] {
            assert_eq!(text.parse::<InputSpec>().unwrap().to_string(), text);
        }
        for wrong in ["", "Hardware", "replay:", "replay", "hardware:", "demo:x", "jack"] {
            assert!(wrong.parse::<InputSpec>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn hardware_without_alsa_is_an_error_and_the_demo_plays_without_it() {
        let (inputs, _told) = start(&[InputSpec::Hardware(None)]);
        assert!(matches!(inputs, Err(InputError::Seq(SeqError::Missing))));
        let (inputs, told) = start(&[InputSpec::Demo]);
        let _inputs = inputs.unwrap();
        assert!(told.iter().any(|told| matches!(told, Told::Message(..))));
    }

    #[test]
    fn when_one_input_cannot_start_those_before_it_are_stopped() {
        let (inputs, told) = start(&[InputSpec::Demo, InputSpec::Replay("/nonexistent.mid".into())]);
        assert!(matches!(inputs, Err(InputError::Replay(ReplayError::Read { .. }))));
        assert_eq!(told.try_iter().last(), Some(Told::Disconnected("demo".into())));
    }

    #[test]
    fn several_inputs_are_several_devices() {
        let (inputs, told) = start(&[InputSpec::Demo, InputSpec::Demo]);
        drop(inputs);
        let names = told.iter().filter_map(|told| match told {
            Told::Connected(name) => Some(name.to_string()),
            _ => None,
        });
        let mut names: Vec<_> = names.collect();
        names.sort();
        assert_eq!(names, ["demo", "demo #2"]);
    }
}
