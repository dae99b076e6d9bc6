//! What plugins may have done: the broker's permitted requests, carried out by the daemon's own executor.

use super::router::{self, Router};
use crate::action::Executor;
use crate::clock;
use crate::mapping::parse_keystroke;
use crate::mapping::types::{Effect, Shell};
use crate::midi::output::OutMessage;
use crate::monitor::Monitor;
use crate::workers::broker::effects::{Effects, MidiMessage};
use crate::workers::log::safe;
use midimon_shared::PluginId;
use midimon_shared::context::TriggerStamp;
use midimon_shared::host::{HostRefusal, Mouse, RefusalKind, SystemControl};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Where a desktop's program for notifications is looked for; never where a plugin could put one.
const NOTIFIERS: [&str; 2] = ["/usr/bin/notify-send", "/usr/local/bin/notify-send"];
/// How long showing a notification may take.
const NOTIFY_LIMIT: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct PluginEffects {
    executor: Arc<Executor>,
    router: Arc<Router>,
    monitor: Arc<Monitor>,
}

impl PluginEffects {
    pub(super) const fn new(executor: Arc<Executor>, router: Arc<Router>, monitor: Arc<Monitor>) -> Self {
        Self { executor, router, monitor }
    }

    fn submit(&self, effect: &Effect) -> Result<(), HostRefusal> {
        taken(self.executor.submit(effect, &TriggerStamp::default()))
    }
}

/// A body as a desktop shows it that reads markup in bodies, as most do: no links, no pictures.
fn plain(body: &str) -> String {
    body.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl std::fmt::Debug for PluginEffects {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("PluginEffects").finish_non_exhaustive()
    }
}

fn refuse<T>(kind: RefusalKind, message: impl Into<String>) -> Result<T, HostRefusal> {
    Err(HostRefusal { kind, message: message.into() })
}

fn taken(there_was_room: bool) -> Result<(), HostRefusal> {
    if there_was_room { Ok(()) } else { refuse(RefusalKind::TooMany, "too many wait to be carried out already") }
}

impl Effects for PluginEffects {
    fn send_midi(&self, port: &str, message: &MidiMessage) -> Result<(), HostRefusal> {
        match message {
            MidiMessage::Channel(message) => taken(self.executor.send(&port.into(), *message)),
            MidiMessage::SysEx(bytes) => {
                taken(self.executor.send(&port.into(), OutMessage::SysEx(bytes.as_slice().into())))
            }
        }
    }

    fn keystroke(&self, keys: &str) -> Result<(), HostRefusal> {
        match parse_keystroke(keys) {
            Ok(keystroke) => self.submit(&Effect::Keystroke(keystroke)),
            Err(error) => refuse(RefusalKind::Invalid, error),
        }
    }

    fn text(&self, text: &str) -> Result<(), HostRefusal> {
        self.submit(&Effect::Text(text.into()))
    }

    fn mouse(&self, mouse: Mouse) -> Result<(), HostRefusal> {
        taken(self.executor.mouse(mouse))
    }

    fn system(&self, control: SystemControl) -> Result<(), HostRefusal> {
        self.keystroke(match control {
            SystemControl::VolumeUp => "volume_up",
            SystemControl::VolumeDown => "volume_down",
            SystemControl::Mute => "mute",
            SystemControl::PlayPause => "play_pause",
            SystemControl::Stop => "media_stop",
            SystemControl::Next => "next_track",
            SystemControl::Previous => "previous_track",
            SystemControl::BrightnessUp => "brightness_up",
            SystemControl::BrightnessDown => "brightness_down",
        })
    }

    fn notify(&self, plugin: &PluginId, title: &str, body: &str) -> Result<(), HostRefusal> {
        // whose words these are comes first and cannot be left out
        let (title, body) = (format!("midimon · {plugin}: {}", safe(title)), safe(body));
        router::note(&self.monitor, format!("{title}: {body}"));
        let Some(program) = NOTIFIERS.into_iter().find(|path| Path::new(path).is_file()) else { return Ok(()) };
        // what stands behind `--` is no option, whatever it begins with
        let argv = [program, "--app-name=midimon", "--", &title, &plain(&body)].map(str::to_owned).into();
        self.submit(&Effect::Shell(Shell { argv, timeout: NOTIFY_LIMIT }))
    }

    fn emit(&self, plugin: &PluginId, event: &str, value: &str) -> Result<(), HostRefusal> {
        self.router.plugin_event(clock::now(), plugin, event, value);
        Ok(())
    }

    fn set_mode(&self, plugin: &PluginId, name: &str) -> Result<(), HostRefusal> {
        match self.router.set_mode(clock::now(), name) {
            Ok(()) => {
                tracing::info!("{plugin} chose the mode {}", safe(name));
                Ok(())
            }
            Err(modes) => {
                refuse(RefusalKind::Failed, format!("no mode '{}'; there are: {}", safe(name), modes.join(", ")))
            }
        }
    }

    fn output_of(&self, device: &str) -> Result<String, HostRefusal> {
        let (_, compiled) = self.router.mode();
        let found = compiled.device_index(device).and_then(|index| compiled.devices.get(usize::from(index)));
        let shown = safe(device);
        match found.map(|found| found.name.as_deref()) {
            Some(Some(name)) => Ok(name.to_owned()),
            Some(None) => {
                let words =
                    format!("the device '{shown}' is every input: one that has lights needs a `match` of its own");
                refuse(RefusalKind::Failed, words)
            }
            None => {
                let devices: Vec<&str> = compiled.devices.iter().map(|device| &*device.alias).collect();
                refuse(RefusalKind::Failed, format!("no device '{shown}'; there are: {}", devices.join(", ")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::KeyboardChoice;
    use crate::midi::output::{Outputs, Pace};
    use crate::midi::seq::SeqError;

    fn effects() -> PluginEffects {
        let outputs = Outputs::new(&Err(SeqError::Missing), Pace::USB, Arc::new(drop));
        let executor = Executor::new(outputs, KeyboardChoice::X11, Arc::new(drop)).unwrap();
        let (executor, monitor) = (Arc::new(executor), Arc::<Monitor>::default());
        let router = Router::new(executor.clone(), monitor.clone(), std::sync::mpsc::channel().0);
        PluginEffects::new(executor, Arc::new(router), monitor)
    }

    #[test]
    fn every_system_control_is_a_key_that_there_is() {
        let effects = effects();
        for control in SystemControl::ALL {
            assert_eq!(effects.system(control), Ok(()), "{control:?}");
        }
    }

    #[test]
    fn what_is_no_keystroke_is_refused_with_the_reason() {
        let effects = effects();
        assert_eq!(effects.keystroke("ctrl+shift+p"), Ok(()));
        for wrong in ["", "no such key", &"a+".repeat(40)] {
            let refusal = effects.keystroke(wrong).unwrap_err();
            assert_eq!(refusal.kind, RefusalKind::Invalid, "{wrong}: {refusal:?}");
        }
    }

    #[test]
    fn a_message_goes_to_the_output_of_its_name() {
        let effects = effects();
        let message = |bytes: &[u8]| MidiMessage::parse(bytes).unwrap();
        assert_eq!(effects.send_midi("synth", &message(&[0x90, 60, 100])), Ok(()));
        assert_eq!(effects.send_midi("drums", &message(&[0xF0, 1, 0xF7])), Ok(()));
        let names: Vec<String> = effects.executor.status().outputs.into_iter().map(|output| output.name).collect();
        assert_eq!(names, ["drums", "synth"]);
    }

    #[test]
    fn a_desktop_that_reads_markup_finds_none() {
        assert_eq!(plain("<a href=\"x\">a & b</a>"), "&lt;a href=\"x\"&gt;a &amp; b&lt;/a&gt;");
    }

    #[test]
    fn a_notification_begins_with_whose_it_is_whatever_its_text() {
        let effects = effects();
        let watched = effects.monitor.watch();
        effects.notify(&"ab".parse().unwrap(), "\u{1b}[2J midimon: all is well", "a\nb").unwrap();
        let shown = format!("{:?}", watched.recv().unwrap());
        assert!(shown.contains("midimon · ab: \\\\u{1b}[2J midimon"), "{shown}");
    }
}
