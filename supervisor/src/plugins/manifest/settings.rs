//! Settings: values the user gives a plugin, handed over when it starts.

use super::action::ParamType;
use super::walk::{Field, Table};
use serde_json::Value;

/// Most settings of one plugin.
const MAX_SETTINGS: usize = 64;

/// A value the user can give the plugin.
#[derive(Clone, Debug, PartialEq)]
pub struct SettingSpec {
    /// As `midimon plugin config` names it: `[A-Za-z0-9_-]`, at most 64.
    pub name: String,
    /// What it can be; never a table.
    pub ty: ParamType,
    /// Whether it is never shown again.
    pub secret: bool,
    /// Whether the plugin cannot do without.
    pub required: bool,
    /// What the plugin gets when it is not set.
    pub default: Option<Value>,
    /// What it means.
    pub description: String,
}

pub(super) fn settings(field: &Field<'_>) -> Vec<SettingSpec> {
    let mut settings: Vec<SettingSpec> = Vec::new();
    for table in field.tables(MAX_SETTINGS) {
        settings.extend(setting(table, &settings));
    }
    settings
}

fn setting(mut table: Table<'_>, earlier: &[SettingSpec]) -> Option<SettingSpec> {
    const TYPES: [(&str, ParamType); 4] = [
        ("string", ParamType::String),
        ("integer", ParamType::Integer),
        ("number", ParamType::Number),
        ("boolean", ParamType::Boolean),
    ];
    let name = table.require("name");
    let ty = table.require("type").and_then(|field| field.choice(&TYPES));
    let secret = table.take("secret").and_then(|field| field.boolean()).unwrap_or(false);
    let required = table.take("required").and_then(|field| field.boolean()).unwrap_or(false);
    let default = table.take("default");
    let description = table.take("description").and_then(|field| field.text(500)).unwrap_or_default();
    table.finish();
    let (field, ty) = (name?, ty?);
    let name = field.text(64)?;
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
        field.report("the name of a setting is of A-Z a-z 0-9 _ -");
    }
    if earlier.iter().any(|setting| setting.name == name) {
        field.report(format!("there are two settings `{name}`"));
    }
    let value = default.as_ref().and_then(Field::json);
    if let (Some(field), Some(value)) = (&default, &value) {
        if secret {
            field.report("a secret has no `default`: everybody could read it here");
        } else if required {
            field.report("a required setting has no use for a `default`");
        } else if !ty.accepts(value) {
            field.report(format!("`default` is not of type {ty}"));
        }
    }
    Some(SettingSpec { name, ty, secret, required, default: value, description })
}
