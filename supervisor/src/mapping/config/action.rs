//! `action = { type = … }`.

use super::calls::Places;
use super::codes::Code;
use super::diagnostic::Diagnostic;
use super::keystroke::keystroke;
use super::midi_out::send_midi;
use super::model::{Action, ActionKind, Named, On};
use super::params::params;
use super::text::cut;
use super::walker::{Field, Span, Table};
use crate::mapping::types::{Effect, PluginBinding, Shell};
use midimon_shared::PluginId;
use std::time::Duration;

/// Levels of Sequence and Repeat.
const DEEPEST: usize = 16;
/// Longest delay, and deadline of a command, in milliseconds: one hour.
const LONGEST_MS: i64 = 3_600_000;
/// Deadline of a command that names none.
const SHELL_TIMEOUT_MS: u32 = 30_000;

#[derive(Clone, Copy)]
enum Kind {
    Plugin,
    Keystroke,
    Text,
    Shell,
    Launch,
    SendMidi,
    ModeChange,
    Sequence,
    Delay,
    Repeat,
    Panic,
    Log,
    /// Known from elsewhere, not here yet.
    Later,
}

const KINDS: &[(&str, Kind)] = &[
    ("Plugin", Kind::Plugin),
    ("Keystroke", Kind::Keystroke),
    ("Text", Kind::Text),
    ("Shell", Kind::Shell),
    ("Launch", Kind::Launch),
    ("SendMidi", Kind::SendMidi),
    ("ModeChange", Kind::ModeChange),
    ("Sequence", Kind::Sequence),
    ("Delay", Kind::Delay),
    ("Repeat", Kind::Repeat),
    ("Panic", Kind::Panic),
    ("Log", Kind::Log),
    ("MouseClick", Kind::Later),
    ("VolumeControl", Kind::Later),
    ("Conditional", Kind::Later),
];

/// Reads an action; `None` when it cannot be used, which has been reported.
pub(super) fn action(field: Field<'_>) -> Option<Action> {
    nested(field, 0)
}

fn nested(field: Field<'_>, depth: usize) -> Option<Action> {
    let mut table = field.required().table("an action")?;
    let kind_field = table.take("type").required();
    let kind_span = kind_field.span();
    let kind = kind_field.choice(KINDS)?;
    if matches!(kind, Kind::Later) {
        // its keys are its own affair: no more is said about them
        table.context.error(Code::NotSupported, kind_span, "this action is not supported yet");
        return None;
    }
    if depth >= DEEPEST {
        table.context.error(Code::TooDeep, kind_span, format!("actions can lie {DEEPEST} levels deep at most"));
        return None;
    }
    let on = table.take("on");
    let on_span = on.span();
    let on = on.choice(&[("press", On::Press), ("release", On::Release), ("both", On::Both)]).map(|on| (on, on_span));
    let effect = |(effect, label): (Effect, String)| (ActionKind::Effect(effect), label);
    let parsed = match kind {
        Kind::Plugin => plugin(&mut table),
        Kind::Keystroke => keystroke(&mut table).map(|(keys, label)| effect((Effect::Keystroke(keys), label))),
        Kind::Text => text(&mut table).map(effect),
        Kind::Shell => shell(&mut table).map(effect),
        Kind::Launch => launch(&mut table).map(effect),
        Kind::SendMidi => send_midi(&mut table).map(|(message, label)| effect((Effect::SendMidi(message), label))),
        Kind::ModeChange => mode_change(&mut table),
        Kind::Sequence => sequence(&mut table, depth),
        Kind::Delay => delay(&mut table),
        Kind::Repeat => repeat(&mut table, depth),
        Kind::Panic => {
            table.call("a Panic action");
            Some(effect((Effect::Panic, "Panic".to_owned())))
        }
        Kind::Log => log(&mut table).map(effect),
        Kind::Later => None, // reported above
    };
    let span = table.span();
    table.finish();
    let (kind, label) = parsed?;
    Some(Action { kind, on, label, span })
}

/// The plugin that a trigger or an action names, and where.
pub(super) fn plugin_id(table: &mut Table<'_>) -> Option<(PluginId, Span)> {
    let id = table.take("plugin").required();
    match id.clone().text(256)?.parse::<PluginId>() {
        Ok(plugin) => Some((plugin, id.span())),
        Err(error) => {
            id.error(Code::BadPluginId, error.to_string());
            None
        }
    }
}

fn plugin(table: &mut Table<'_>) -> Option<(ActionKind, String)> {
    table.call("a Plugin action");
    let plugin = plugin_id(table);
    let (action_field, params_field) = (table.take("action").required(), table.take("params"));
    let (action, params) = (action_field.clone().name(), params(&params_field));
    let timeout = table.take("timeout_ms").number::<u32>(1..=600_000);
    let ((plugin, place), action, (object, params)) = (plugin?, action?, params?);
    let places = Box::new(Places::new(place, &action_field, &params_field, object));
    let label = format!("Plugin {plugin} {action}");
    let timeout = timeout.map(|ms| Duration::from_millis(ms.into()));
    let action = action.into();
    // whether it is paired shows when `on` is known, which an outer action may say
    let binding = PluginBinding { plugin, action, params, timeout, paired: false };
    Some((ActionKind::Plugin(binding, places), label))
}

fn text(table: &mut Table<'_>) -> Option<(Effect, String)> {
    table.call("a Text action");
    let text = table.take("text").required().text(16 * 1024)?;
    Some((Effect::Text(text.into()), format!("Text \"{}\"", cut(text, 30))))
}

fn shell(table: &mut Table<'_>) -> Option<(Effect, String)> {
    table.call("a Shell action");
    let (command, argv) = (table.take("command"), table.take("argv"));
    let timeout = table.take("timeout_ms").number::<u32>(1..=LONGEST_MS).unwrap_or(SHELL_TIMEOUT_MS);
    let argv = match (command.is_present(), argv.is_present()) {
        (true, true) => {
            let error = Diagnostic::error(Code::Conflict, argv.span(), "`command` and `argv` both say what to run");
            table.context.report(error.related(command.span(), "the other one").help("keep one of them"));
            return None;
        }
        // neither: the message names the one most people want
        (_, false) => vec!["sh".to_owned(), "-c".to_owned(), command.required().text(64 * 1024)?.to_owned()],
        (false, true) => {
            let place = argv.clone();
            let words: Vec<_> = argv.elements().map(|word| argument(word).map(str::to_owned)).collect();
            if words.is_empty() || words.len() > 1024 {
                place.error(Code::BadText, "`argv` needs the program, and may have 1,024 words at most");
                return None;
            }
            let words = words.into_iter().collect::<Option<Vec<_>>>()?;
            warn_if_missing(&place, &words[0]);
            words
        }
    };
    let shown = if argv[0] == "sh" && argv.len() == 3 { cut(&argv[2], 40) } else { cut(&argv.join(" "), 40) };
    let timeout = Duration::from_millis(timeout.into());
    Some((Effect::Shell(Shell { argv, timeout }), format!("Shell {shown}")))
}

/// A word of a command line: unlike other texts it may be empty.
fn argument<'w>(field: Field<'w>) -> Option<&'w str> {
    match field.value()?.as_str() {
        Some("") => Some(""),
        _ => field.text(64 * 1024),
    }
}

fn launch(table: &mut Table<'_>) -> Option<(Effect, String)> {
    table.call("a Launch action");
    let app = table.take("app").required();
    let line = app.clone().line(4096)?;
    // a program, blanks in its path included, or a program with arguments
    let program = line.split_whitespace().next().unwrap_or(line);
    if !(app.context.program_exists)(line) {
        warn_if_missing(&app, program);
    }
    Some((Effect::Launch(line.into()), format!("Launch {}", cut(line, 40))))
}

fn warn_if_missing(field: &Field<'_>, program: &str) {
    if !(field.context.program_exists)(program) {
        let message = format!("the program `{}` is not found", cut(program, 60));
        field.warn(Code::ProgramNotFound, message, "install it, or write its full path");
    }
}

fn mode_change(table: &mut Table<'_>) -> Option<(ActionKind, String)> {
    table.call("a ModeChange action");
    let mode = table.take("mode").required();
    let span = mode.span();
    let name = mode.name()?;
    Some((ActionKind::Mode(Named { text: name.into(), span }), format!("ModeChange {name}")))
}

fn sequence(table: &mut Table<'_>, depth: usize) -> Option<(ActionKind, String)> {
    table.call("a Sequence action");
    let actions = table.take("actions").required();
    if !actions.is_present() {
        return None;
    }
    let place = actions.clone();
    // every wrong one is reported, not just the first
    let steps: Vec<_> = actions.elements().map(|step| nested(step, depth + 1)).collect();
    if steps.is_empty() && place.value().is_some_and(|value| value.is_array()) {
        place.error(Code::BadText, "`actions` is empty");
        return None;
    }
    let steps = steps.into_iter().collect::<Option<Vec<_>>>()?;
    let label = format!("Sequence of {}", steps.len());
    Some((ActionKind::Sequence(steps), label))
}

fn delay(table: &mut Table<'_>) -> Option<(ActionKind, String)> {
    table.call("a Delay action");
    let ms = table.take("ms").required().number::<u32>(1..=LONGEST_MS)?;
    Some((ActionKind::Delay { ms }, format!("Delay {ms} ms")))
}

fn repeat(table: &mut Table<'_>, depth: usize) -> Option<(ActionKind, String)> {
    table.call("a Repeat action");
    let action = nested(table.take("action"), depth + 1);
    let count = table.take("count").required().number::<u32>(1..=10_000);
    let delay_ms = table.take("delay_ms").number::<u32>(0..=LONGEST_MS).unwrap_or(0);
    let (action, count) = (Box::new(action?), count?);
    let label = format!("{} x {count}", action.label);
    Some((ActionKind::Repeat { action, count, delay_ms }, label))
}

fn log(table: &mut Table<'_>) -> Option<(Effect, String)> {
    table.call("a Log action");
    let (message, text) = (table.take("message"), table.take("text"));
    if message.is_present() && text.is_present() {
        let error = Diagnostic::error(Code::Conflict, text.span(), "`text` and `message` are the same setting");
        table.context.report(error.related(message.span(), "the other one").help("keep one of them"));
        return None;
    }
    let line = if text.is_present() { text } else { message.required() }.text(4096)?;
    Some((Effect::Log(line.into()), format!("Log \"{}\"", cut(line, 30))))
}
