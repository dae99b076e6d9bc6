//! `monitor`, and what `run --watch` prints: events as they happen.

use super::output::{Colour, Look, Output};
use super::safe_text::safe_text;
use super::units::micros;
use super::{CliError, Context};
use crate::clock::Time;
use crate::monitor::MonitorEvent;
use clap::Args;
use midimon_shared::ChannelMessage;

/// `midimon monitor`
#[derive(Debug, Args)]
#[command(after_help = "\
Times are seconds since the first event. Ends with Ctrl-C or with the daemon.

Examples:
  midimon monitor
  midimon monitor --json | jq 'select(.event == \"answer\")'")]
pub struct Monitor {
    /// Print a line of JSON for each event
    #[arg(long)]
    json: bool,
}

impl Monitor {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let mut printer = Printer::new(&context.out);
        for line in context.connect()?.watch()? {
            let line = line?;
            if self.json {
                context.out.line(&String::from_utf8_lossy(&line))?;
            } else if let Ok(event) = serde_json::from_slice(&line) {
                printer.print(&event)?;
            }
        }
        Ok(())
    }
}

/// Prints events with the time since the first.
pub(super) struct Printer<'a> {
    out: &'a Output,
    start: Option<Time>,
}

impl<'a> Printer<'a> {
    pub(super) fn new(out: &'a Output) -> Self {
        Self { out, start: None }
    }

    pub(super) fn print(&mut self, event: &MonitorEvent) -> Result<(), CliError> {
        let at = event_time(event);
        let start = *self.start.get_or_insert(at);
        let seconds = format!("{:10.3}", at.since(start).as_secs_f64());
        let look = &self.out.look;
        self.out.line(&format!("{}  {}", look.paint(Colour::Faint, &seconds), describe(event, look)))
    }
}

fn event_time(event: &MonitorEvent) -> Time {
    use MonitorEvent::*;
    match event {
        Midi { at, .. } | System { at, .. } | Hit { at, .. } | Answer { at, .. } => *at,
        PluginEvent { at, .. } | Mode { at, .. } | Worker { at, .. } | Device { at, .. } | Note { at, .. } => *at,
    }
}

/// One event as one line.
fn describe(event: &MonitorEvent, look: &Look) -> String {
    match event {
        MonitorEvent::Midi { device, message, .. } => format!("{}  {}", safe_text(device), midi(*message)),
        MonitorEvent::System { device, bytes, total, .. } => {
            let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            let more = if *total > bytes.len() { format!(" … {total} bytes") } else { String::new() };
            format!("{}  {}{more}", safe_text(device), hex.join(" "))
        }
        MonitorEvent::Hit { mapping, action, .. } => {
            format!("{} {}: {}", look.paint(Colour::Strong, "→"), safe_text(mapping), safe_text(action))
        }
        MonitorEvent::Answer { plugin, pid, action, outcome, failed, micros: took, .. } => {
            let mark = look.paint(if *failed { Colour::Bad } else { Colour::Good }, if *failed { "✗" } else { "←" });
            let failed = if *failed { "failed: " } else { "" };
            let (action, outcome, took) = (safe_text(action), safe_text(outcome), micros(*took));
            format!("{mark} {plugin} (pid {pid}) {action}: {failed}{outcome}  {took}")
        }
        MonitorEvent::PluginEvent { plugin, name, value, .. } => {
            let value = if value.is_empty() { String::new() } else { format!(" = {}", shown_value(value)) };
            format!("{plugin} event {}{value}", safe_text(name))
        }
        MonitorEvent::Mode { mode, .. } => format!("mode {}", safe_text(mode)),
        MonitorEvent::Worker { plugin, state, detail, .. } => {
            let detail = if detail.is_empty() { String::new() } else { format!(": {}", safe_text(detail)) };
            format!("worker {plugin} {}{detail}", safe_text(state))
        }
        MonitorEvent::Device { device, connected, .. } => {
            let (colour, text) =
                if *connected { (Colour::Good, "connected") } else { (Colour::Notice, "disconnected") };
            format!("{} {}", safe_text(device), look.paint(colour, text))
        }
        MonitorEvent::Note { text, .. } => look.paint(Colour::Notice, &safe_text(text)),
    }
}

/// What an event says, in a line.
fn shown_value(value: &str) -> String {
    const SHOWN: usize = 80;
    let cut = value.chars().take(SHOWN).collect::<String>();
    let more = if cut.len() < value.len() { " …" } else { "" };
    format!("{}{more}", safe_text(&cut))
}

/// A message in the specification's words; middle C (60) is C4, as MIDIMon names it.
fn midi(message: ChannelMessage) -> String {
    use ChannelMessage::*;
    match message {
        NoteOn { channel, note, velocity } => {
            format!("note on   ch {:2}  {}  velocity {}", channel.get(), note_name(note.get()), velocity.get())
        }
        NoteOff { channel, note, velocity } => {
            format!("note off  ch {:2}  {}  velocity {}", channel.get(), note_name(note.get()), velocity.get())
        }
        PolyPressure { channel, note, pressure } => {
            format!("pressure  ch {:2}  {}  {}", channel.get(), note_name(note.get()), pressure.get())
        }
        ControlChange { channel, controller, value } => {
            format!("control   ch {:2}  cc {}  {}", channel.get(), controller.get(), value.get())
        }
        ProgramChange { channel, program } => format!("program   ch {:2}  {}", channel.get(), program.get()),
        ChannelPressure { channel, pressure } => format!("pressure  ch {:2}  {}", channel.get(), pressure.get()),
        PitchBend { channel, value } => format!("bend      ch {:2}  {:+}", channel.get(), value.signed()),
    }
}

fn note_name(note: u8) -> String {
    const NAMES: [&str; 12] = ["C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"];
    format!("{note} {}{}", NAMES[usize::from(note % 12)], i16::from(note / 12) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Look = Look::plain(80);

    #[test]
    fn messages_are_named_with_channel_note_and_value() {
        let show = |bytes| midi(ChannelMessage::from_bytes(bytes).unwrap());
        assert_eq!(show([0x90, 60, 100]), "note on   ch  1  60 C4  velocity 100");
        assert_eq!(show([0x8F, 0, 0]), "note off  ch 16  0 C-1  velocity 0");
        assert_eq!(show([0xB0, 7, 127]), "control   ch  1  cc 7  127");
        assert_eq!(show([0xE0, 0, 0]), "bend      ch  1  -8192");
        assert_eq!(show([0xA0, 127, 3]), "pressure  ch  1  127 G9  3");
    }

    #[test]
    fn a_plugins_answer_names_its_process_and_cannot_forge_a_line() {
        let answer = MonitorEvent::Answer {
            at: Time::default(),
            plugin: "echo".parse().unwrap(),
            pid: 42,
            action: "play".into(),
            outcome: "fine\n\x1b[1Aforged".into(),
            failed: false,
            micros: 85,
        };
        assert_eq!(describe(&answer, &PLAIN), "← echo (pid 42) play: fine\\u{a}\\u{1b}[1Aforged  85µs");
    }

    #[test]
    fn an_event_of_a_plugin_is_one_line_whatever_it_says() {
        let event = |event: &str, value: &str| MonitorEvent::PluginEvent {
            at: Time::default(),
            plugin: "obs".parse().unwrap(),
            name: event.into(),
            value: value.into(),
        };
        assert_eq!(describe(&event("scene", "Live"), &PLAIN), "obs event scene = Live");
        assert_eq!(describe(&event("ready", ""), &PLAIN), "obs event ready");
        let long = describe(&event("a\u{1b}[2J", &"x\n".repeat(500)), &PLAIN);
        assert!(!long.contains(['\n', '\u{1b}']) && long.ends_with(" …") && long.len() < 500, "{long}");
    }

    #[test]
    fn long_system_messages_say_how_long_they_were() {
        let event =
            MonitorEvent::System { at: Time::default(), device: "pad".into(), bytes: vec![0xF0, 1], total: 900 };
        assert_eq!(describe(&event, &PLAIN), "pad  F0 01 … 900 bytes");
    }
}
