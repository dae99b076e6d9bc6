//! The file from its top: which tables there are, and what is in each.

use super::action::action;
use super::codes::Code;
use super::diagnostic::Diagnostic;
use super::model::{Document, Mapping, Named};
use super::plugins::{PluginSettings, plugins};
use super::trigger::{number_events, trigger};
use super::walker::{Field, Table};
use crate::mapping::compiled::{DEFAULT_DEVICE, DEFAULT_MODE, DeviceConfig};
use midimon_shared::PluginId;
use std::collections::BTreeMap;

/// Most modes one file can have.
const MOST_MODES: usize = 256;
/// Most devices one file can have.
const MOST_DEVICES: usize = 64;

/// What `[logging]` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logging {
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub level: Option<&'static str>,
    /// Where to write, as written in the file.
    pub file: Option<String>,
}

/// Everything a file says.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub document: Document,
    pub logging: Logging,
    pub plugins_dir: Option<String>,
    pub plugins: BTreeMap<PluginId, PluginSettings>,
}

/// Reads the whole document. `schema` has been taken care of by the caller.
pub(super) fn read(mut root: Table<'_>) -> Read {
    let mut read = Read::default();
    root.take("schema");
    device(root.take("device"), &mut read.document);
    devices(root.take("devices"), &mut read.document);
    modes(root.take("modes"), &mut read.document);
    mappings(root.take("global_mappings"), None, &mut read.document);
    advanced_settings(root.take("advanced_settings"));
    read.logging = logging(root.take("logging"));
    (read.plugins_dir, read.plugins) = plugins(root.take("plugins"));
    number_events(&mut read.document, root.context);
    root.finish();
    if read.document.devices.is_empty() {
        read.document.devices.push((DeviceConfig::every_input(), 0..0));
    }
    if read.document.modes.is_empty() {
        read.document.modes.push(Named { text: DEFAULT_MODE.into(), span: 0..0 });
    }
    read
}

/// The one device of the older form.
fn device(field: Field<'_>, document: &mut Document) {
    let Some(mut table) = field.table("[device]") else { return };
    let name = table.take("name").name().map(Into::into);
    table.take("port").note_no_effect("has no effect: port numbers change when devices come and go, names do not");
    let (auto_connect, auto_reconnect) = connecting(&mut table);
    let span = table.span();
    table.finish();
    document.devices.push((DeviceConfig { alias: DEFAULT_DEVICE.into(), name, auto_connect, auto_reconnect }, span));
}

/// Several devices, each with an alias.
fn devices(field: Field<'_>, document: &mut Document) {
    if !field.is_present() {
        return;
    }
    let place = field.clone();
    for element in field.elements() {
        let Some(mut table) = element.table("a [[devices]] table") else { continue };
        let alias = table.take("alias").required();
        let span = alias.span();
        let alias = alias.name();
        let name = table.take("match").required().table("match").and_then(|mut rule| {
            let name = rule.take("name").required().name();
            rule.finish();
            name
        });
        let (auto_connect, auto_reconnect) = connecting(&mut table);
        table.finish();
        let (Some(alias), name @ Some(_)) = (alias, name) else { continue };
        let name = name.map(Into::into);
        document.devices.push((DeviceConfig { alias: alias.into(), name, auto_connect, auto_reconnect }, span));
    }
    if document.devices.len() > MOST_DEVICES {
        place.error(Code::TooMany, format!("a configuration can have {MOST_DEVICES} devices at most"));
    }
}

fn connecting(table: &mut Table<'_>) -> (bool, bool) {
    let mut flag = |key| table.take(key).boolean().unwrap_or(true);
    (flag("auto_connect"), flag("auto_reconnect"))
}

fn modes(field: Field<'_>, document: &mut Document) {
    if !field.is_present() {
        return;
    }
    let place = field.clone();
    for element in field.elements() {
        let Some(mut table) = element.table("a [[modes]] table") else { continue };
        let name = table.take("name").required();
        let span = name.span();
        let name = name.name();
        let color = table.take("color");
        color.note_no_effect("has no effect yet: this version does not light pads");
        color.name();
        // a mode without a usable name keeps its mappings, so that their mistakes are found too
        document.modes.push(Named { text: name.unwrap_or_default().into(), span });
        let mode = document.modes.len() - 1;
        mappings(table.take("mappings"), Some(mode), document);
        table.finish();
    }
    if document.modes.len() > MOST_MODES {
        place.error(Code::TooMany, format!("a configuration can have {MOST_MODES} modes at most"));
    }
}

fn mappings(field: Field<'_>, mode: Option<usize>, document: &mut Document) {
    if !field.is_present() {
        return;
    }
    for element in field.elements() {
        let Some(mut table) = element.table("a mapping") else { continue };
        let id = table.take("id");
        let id_span = id.span();
        let id = id.name().map(|text| Named { text: text.into(), span: id_span });
        let description = table.take("description").text(1024).map(|text| super::text::cut(text, 128).into());
        let trigger = trigger(table.take("trigger"));
        let action = action(table.take("action"));
        let span = table.span();
        table.finish();
        document.mappings.push(Mapping { mode, id, description, trigger, action, span });
    }
}

/// Settings of gestures that do not exist yet; checked, so that they will not surprise later.
fn advanced_settings(field: Field<'_>) {
    let Some(mut table) = field.table("[advanced_settings]") else { return };
    for (key, gesture) in [
        ("chord_timeout_ms", "has no effect yet: this version has no chords"),
        ("double_tap_timeout_ms", "has no effect yet: this version has no double taps"),
        ("hold_threshold_ms", "has no effect yet: this version has no long presses"),
    ] {
        let field = table.take(key);
        field.note_no_effect(gesture);
        field.number::<u32>(1..=60_000);
    }
    table.finish();
}

fn logging(field: Field<'_>) -> Logging {
    let Some(mut table) = field.table("[logging]") else {
        return Logging::default();
    };
    let level = table.take("level").choice(&["error", "warn", "info", "debug", "trace"].map(|level| (level, level)));
    let file = table.take("file").text(4096).map(str::to_owned);
    table.finish();
    Logging { level, file }
}

/// Reads `schema`: 1, or nothing.
pub(super) fn schema(field: &Field<'_>) -> Option<super::walker::Schema> {
    use super::walker::Schema;
    if !field.is_present() {
        return Some(Schema::Compatible);
    }
    match field.clone().number::<i64>(1..=i64::MAX)? {
        1 => Some(Schema::One),
        newer => {
            let message = format!("`schema = {newer}` needs a newer midimon; this one knows `schema = 1`");
            field.context.report(Diagnostic::error(Code::NewerSchema, field.span(), message));
            None
        }
    }
}
