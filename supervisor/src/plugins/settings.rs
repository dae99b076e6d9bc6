//! What the user sets for a plugin: `state/settings/<id>.json` for an installed
//! one, `state/settings/dev/<id>.json` for one under development.
//!
//! Some of it is secret. Nothing here shows values when it is printed for
//! debugging, and whoever shows them to people asks [`Settings::is_secret`] first: a value
//! stays secret when another version of the plugin does not call it so any more. In the file
//! a secret is an object, `{"secret": VALUE}`; no setting is one.

use super::files::{FileError, open_dir, read_regular};
use super::manifest::{ParamType, SettingSpec};
use crate::home::{HomeError, private_dir, write_atomic};
use midimon_shared::PluginId;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Longest value, in bytes.
pub const MAX_VALUE: usize = 4096;
/// Most bytes of all values as a plugin gets them: they travel in one frame with other things.
pub const MAX_BYTES: usize = 32 * 1024;

/// What marks a secret in the file.
const SECRET: &str = "secret";

/// Whose settings these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// An installed plugin.
    Installed,
    /// A plugin of `[plugins] dir`; one of the same id that is installed has others.
    Dev,
}

/// Why settings cannot be used or changed. No message has a value in it.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum SettingsError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: FileError },
    #[error("{}: is not a JSON object of values; remove it and set the values again with `midimon plugin config set`", path.display())]
    NotJson { path: PathBuf },
    #[error(transparent)]
    Home(#[from] HomeError),
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("it needs {}: `{command}`", names.join(", "))]
    Required { names: Vec<String>, command: String },
    #[error("there is no setting '{name}'; {}", if known.is_empty() { "this plugin has none".to_owned() } else { format!("there are: {known}") })]
    Unknown { name: String, known: String },
    #[error("'{name}' must be {wanted}")]
    Type { name: String, wanted: &'static str },
    #[error("'{name}' is over {MAX_VALUE} bytes")]
    TooLong { name: String },
    #[error("all settings together are over {MAX_BYTES} bytes")]
    TooMany,
    #[error("'{name}' is set to what this version of the plugin does not take; set it again: `{command}`")]
    Stale { name: String, command: String },
}

/// The values of one plugin.
#[derive(Clone, PartialEq)]
pub struct Settings {
    id: PluginId,
    /// Of the settings of all plugins; `dir` is this or in it.
    base: PathBuf,
    dir: PathBuf,
    values: Map<String, Value>,
    /// The names of those that were secret when they were set.
    secrets: BTreeSet<String>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Settings").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Settings as a plugin gets them, a JSON object. Shows nothing of them when printed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Handed(String);

impl fmt::Debug for Handed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Handed({} bytes)", self.0.len())
    }
}

impl Handed {
    /// The JSON text, to be given to the plugin and to nobody else.
    #[must_use]
    pub fn json(&self) -> &str {
        if self.0.is_empty() { "{}" } else { &self.0 }
    }

    /// Whether there is a value for a setting.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        serde_json::from_str::<Map<String, Value>>(self.json()).is_ok_and(|values| values.contains_key(name))
    }
}

impl Settings {
    /// Reads a plugin's settings below `settings_dir`; there may be none.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn load(settings_dir: &Path, owner: Owner, id: &PluginId) -> Result<Self, SettingsError> {
        let dir = match owner {
            Owner::Installed => settings_dir.to_owned(),
            Owner::Dev => settings_dir.join("dev"),
        };
        let base = settings_dir.to_owned();
        let mut settings = Self { id: id.clone(), base, dir, values: Map::new(), secrets: BTreeSet::new() };
        let path = settings.path();
        let bytes = match open_dir(&settings.dir) {
            Ok(dir) => read_regular(dir, &file_name(id), 2 * MAX_BYTES as u64),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(FileError::Missing),
            Err(error) => Err(error.into()),
        };
        match bytes {
            Ok(bytes) => {
                let stored = serde_json::from_slice(&bytes).ok();
                stored.and_then(|stored| settings.take(stored)).ok_or(SettingsError::NotJson { path })?;
                Ok(settings)
            }
            Err(FileError::Missing) => Ok(settings),
            Err(source) => Err(SettingsError::File { path, source }),
        }
    }

    /// The values as a file has them; `None` when they are no values.
    fn take(&mut self, stored: Map<String, Value>) -> Option<()> {
        for (name, value) in stored {
            let value = match value {
                Value::Object(mut secret) => {
                    self.secrets.insert(name.clone());
                    let value = secret.remove(SECRET)?;
                    if secret.is_empty() { value } else { return None }
                }
                value => value,
            };
            if matches!(value, Value::Null | Value::Array(_) | Value::Object(_)) {
                return None;
            }
            self.values.insert(name, value);
        }
        Some(())
    }

    fn stored(&self) -> Map<String, Value> {
        let one = |(name, value): (&String, &Value)| {
            let value = value.clone();
            let is_secret = self.secrets.contains(name);
            (name.clone(), if is_secret { Value::Object(Map::from_iter([(SECRET.to_owned(), value)])) } else { value })
        };
        self.values.iter().map(one).collect()
    }

    fn path(&self) -> PathBuf {
        self.dir.join(file_name(&self.id))
    }

    /// Writes them, for us alone.
    ///
    /// # Errors
    /// They are too long together, or what the file system says.
    pub fn save(&self) -> Result<(), SettingsError> {
        private_dir(&self.base)?;
        private_dir(&self.dir)?;
        let path = self.path();
        // more could be stored, and the plugin would not start
        if Value::Object(self.values.clone()).to_string().len() > MAX_BYTES {
            return Err(SettingsError::TooMany);
        }
        let text = serde_json::to_vec_pretty(&self.stored()).unwrap_or_default(); // cannot fail: keys are texts
        write_atomic(&path, &text, 0o600).map_err(|source| SettingsError::Write { path, source })
    }

    /// The value of a setting, where the user set one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// Whether the value of a setting is not to be shown: the manifest calls it secret, or
    /// the one did with which it was set.
    #[must_use]
    pub fn is_secret(&self, spec: &SettingSpec) -> bool {
        spec.secret || self.secrets.contains(&spec.name)
    }

    /// Sets a value from its text.
    ///
    /// # Errors
    /// The plugin has no such setting, it is of another type, or it is too long.
    pub fn set(&mut self, specs: &[SettingSpec], name: &str, text: &str) -> Result<(), SettingsError> {
        let spec = find(specs, name)?;
        if text.len() > MAX_VALUE {
            return Err(SettingsError::TooLong { name: name.to_owned() });
        }
        let (value, wanted) = match spec.ty {
            ParamType::String => (Some(Value::from(text)), "a text"),
            ParamType::Integer => (text.parse::<i64>().ok().map(Value::from), "a whole number"),
            ParamType::Number => {
                (text.parse::<f64>().ok().and_then(serde_json::Number::from_f64).map(Value::Number), "a number")
            }
            ParamType::Boolean => (text.parse::<bool>().ok().map(Value::Bool), "true or false"),
            // cannot be in a manifest
            ParamType::Array | ParamType::Table => (None, "a list or table, which cannot be set here"),
        };
        let value = value.ok_or_else(|| SettingsError::Type { name: name.to_owned(), wanted })?;
        self.values.insert(name.to_owned(), value);
        // typed anew, it is what the manifest says now
        if spec.secret {
            self.secrets.insert(name.to_owned())
        } else {
            self.secrets.remove(name)
        };
        Ok(())
    }

    /// Forgets a value; false when there was none.
    ///
    /// # Errors
    /// The plugin has no such setting and no value is left from one.
    pub fn unset(&mut self, specs: &[SettingSpec], name: &str) -> Result<bool, SettingsError> {
        let was_set = self.values.remove(name).is_some();
        self.secrets.remove(name);
        if !was_set {
            find(specs, name)?;
        }
        Ok(was_set)
    }

    /// What the plugin gets: what `typed` says (targets the user typed), else what is set, else
    /// the default. Values of settings it does not have any more are left out.
    ///
    /// # Errors
    /// A required one is missing, one is of the wrong type, or they are too long together.
    pub fn handed<'t>(
        &self,
        specs: &[SettingSpec],
        typed: impl IntoIterator<Item = (&'t str, &'t str)>,
    ) -> Result<Handed, SettingsError> {
        let mut handed = Map::new();
        for spec in specs {
            match self.values.get(&spec.name).or(spec.default.as_ref()) {
                Some(value) if spec.ty.accepts(value) => {
                    handed.insert(spec.name.clone(), value.clone());
                }
                Some(_) => {
                    return Err(SettingsError::Stale { name: spec.name.clone(), command: self.command(spec) });
                }
                None => {}
            }
        }
        handed.extend(typed.into_iter().map(|(name, target)| (name.to_owned(), Value::from(target))));
        let missing = specs.iter().filter(|spec| spec.required && !handed.contains_key(&spec.name));
        let missing: Vec<&SettingSpec> = missing.collect();
        if let Some(first) = missing.first() {
            let names = missing.iter().map(|spec| spec.name.clone()).collect();
            return Err(SettingsError::Required { names, command: self.command(first) });
        }
        let text = Value::Object(handed).to_string();
        if text.len() > MAX_BYTES { Err(SettingsError::TooMany) } else { Ok(Handed(text)) }
    }
}

impl Settings {
    /// What sets a value; of a secret without it, which is typed or read where nobody sees it.
    fn command(&self, spec: &SettingSpec) -> String {
        let value = if spec.secret { "" } else { " VALUE" };
        format!("midimon plugin config set {} {}{value}", self.id, spec.name)
    }
}

fn file_name(id: &PluginId) -> String {
    format!("{id}.json")
}

fn find<'s>(specs: &'s [SettingSpec], name: &str) -> Result<&'s SettingSpec, SettingsError> {
    specs.iter().find(|spec| spec.name == name).ok_or_else(|| SettingsError::Unknown {
        name: name.chars().take(80).collect(),
        known: specs.iter().map(|spec| spec.name.as_str()).collect::<Vec<_>>().join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt;

    fn specs() -> Vec<SettingSpec> {
        let spec = |name: &str, ty| SettingSpec {
            name: name.into(),
            ty,
            secret: false,
            required: false,
            default: None,
            description: String::new(),
        };
        vec![
            SettingSpec { required: true, secret: true, ..spec("token", ParamType::String) },
            SettingSpec { default: Some(Value::from(7)), ..spec("port", ParamType::Integer) },
            spec("rate", ParamType::Number),
            spec("loud", ParamType::Boolean),
        ]
    }

    fn settings(dir: &Path) -> Settings {
        Settings::load(dir, Owner::Installed, &"obs".parse().unwrap()).unwrap()
    }

    #[test]
    fn what_is_set_is_handed_over_typed_with_the_defaults_and_what_was_typed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("settings");
        let mut set = settings(&path);
        for (name, text) in [("token", "s3cret"), ("rate", "0.5"), ("loud", "true")] {
            set.set(&specs(), name, text).unwrap();
        }
        let around = || std::fs::metadata(dir.path()).unwrap().permissions();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        set.save().unwrap();
        assert_eq!(around().mode() & 0o777, 0o755, "the directory around them is not ours to change");
        assert_eq!(std::fs::metadata(path.join("obs.json")).unwrap().permissions().mode() & 0o777, 0o600);
        let read = settings(&path);
        assert_eq!(read, set);
        let handed = read.handed(&specs(), [("address", "h:1")]).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(handed.json()).unwrap(),
            serde_json::json!({"token": "s3cret", "port": 7, "rate": 0.5, "loud": true, "address": "h:1"})
        );
        // nobody else's
        let dev = Settings::load(&path, Owner::Dev, &"obs".parse().unwrap()).unwrap();
        assert_eq!(dev.get("token"), None);
    }

    #[test]
    fn what_would_be_too_much_for_the_plugin_is_refused_when_it_is_set() {
        let dir = tempfile::tempdir().unwrap();
        let spec = |number: usize| SettingSpec { name: format!("s{number}"), secret: false, ..specs()[0].clone() };
        let specs: Vec<SettingSpec> = (0..9).map(spec).collect();
        let mut set = settings(dir.path());
        for (number, spec) in specs.iter().enumerate() {
            set.set(&specs, &spec.name, &"x".repeat(4_000)).unwrap();
            match number {
                8 => assert!(matches!(set.save(), Err(SettingsError::TooMany))),
                _ => set.save().unwrap(),
            }
        }
        assert!(settings(dir.path()).get("s7").is_some(), "what was saved before is still there");
        assert!(settings(dir.path()).get("s8").is_none());
    }

    #[test]
    fn no_value_is_shown_by_accident() {
        let dir = tempfile::tempdir().unwrap();
        let mut set = settings(dir.path());
        set.set(&specs(), "token", "s3cret").unwrap();
        let handed = set.handed(&specs(), []).unwrap();
        assert!(handed.has("token") && !handed.has("s3cret") && !Handed::default().has("token"));
        assert!(handed.json().contains("s3cret"));
        assert!(!format!("{set:?} {handed:?}").contains("s3cret"));
    }

    #[test]
    fn what_is_missing_unknown_or_of_another_type_is_named_without_its_value() {
        let dir = tempfile::tempdir().unwrap();
        let mut set = settings(dir.path());
        let missing = set.handed(&specs(), []).unwrap_err().to_string();
        assert!(missing.contains("needs token: `midimon plugin config set obs token"), "{missing}");
        let told = set.set(&specs(), "colour", "red").unwrap_err().to_string();
        assert!(told.contains("token, port, rate, loud"), "{told}");
        for (name, text) in [("port", "s3cret"), ("port", "1.5"), ("rate", "NaN"), ("loud", "yes")] {
            let told = set.set(&specs(), name, text).unwrap_err().to_string();
            assert!(told.contains("must be") && !told.contains(text), "{told}");
        }
        assert!(matches!(set.set(&specs(), "token", &"x".repeat(5000)), Err(SettingsError::TooLong { .. })));
        // an update changed the type
        set.set(&specs(), "token", "s3cret").unwrap();
        set.set(&specs(), "loud", "true").unwrap();
        let mut changed = specs();
        changed[3].ty = ParamType::Integer;
        assert!(matches!(set.handed(&changed, []), Err(SettingsError::Stale { .. })));
        // or removed it
        changed.truncate(2);
        assert_eq!(set.handed(&changed, []).unwrap().json(), r#"{"token":"s3cret","port":7}"#);
        assert!(set.unset(&changed, "loud").unwrap());
        assert!(set.unset(&changed, "loud").is_err());
        assert!(!set.unset(&changed, "port").unwrap());
    }

    #[test]
    fn a_secret_stays_one_when_another_version_does_not_call_it_so() {
        let dir = tempfile::tempdir().unwrap();
        let mut set = settings(dir.path());
        set.set(&specs(), "token", "s3cret").unwrap();
        set.set(&specs(), "port", "1").unwrap();
        set.save().unwrap();
        let mut read = settings(dir.path());
        let mut later = specs();
        later[0].secret = false;
        assert!(read.is_secret(&later[0]) && !read.is_secret(&later[1]));
        assert_eq!(read.handed(&later, []).unwrap().json(), r#"{"token":"s3cret","port":1}"#);
        // what is set now is what it is called now
        read.set(&later, "token", "open").unwrap();
        read.save().unwrap();
        assert!(!settings(dir.path()).is_secret(&later[0]));
        read.set(&specs(), "token", "s3cret").unwrap();
        assert!(read.unset(&later, "token").unwrap() && !read.is_secret(&later[0]));
    }

    #[test]
    fn the_command_that_sets_a_secret_has_no_value_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut set = settings(dir.path());
        let told = set.handed(&specs(), []).unwrap_err().to_string();
        assert!(told.contains("`midimon plugin config set obs token`"), "{told}");
        set.set(&specs(), "token", "s3cret").unwrap();
        let mut changed = specs();
        changed[0].ty = ParamType::Boolean;
        let told = set.handed(&changed, []).unwrap_err().to_string();
        assert!(told.contains("`midimon plugin config set obs token`"), "{told}");
        changed[0].secret = false;
        let told = set.handed(&changed, []).unwrap_err().to_string();
        assert!(told.contains("`midimon plugin config set obs token VALUE`"), "{told}");
    }

    #[test]
    fn a_damaged_file_is_an_error_and_nothing_of_it_is_shown() {
        let dir = tempfile::tempdir().unwrap();
        for text in [
            r#"{"token": "s3cret""#,
            r#"["s3cret"]"#,
            r#""s3cret""#,
            r#"{"token": {"secret": {"secret": "s3cret"}}}"#,
            r#"{"token": {"secret": "s3cret", "x": 1}}"#,
            r#"{"token": {}}"#,
            r#"{"token": null}"#,
        ] {
            std::fs::write(dir.path().join("obs.json"), text).unwrap();
            let told = Settings::load(dir.path(), Owner::Installed, &"obs".parse().unwrap()).unwrap_err();
            let told = format!("{told} {told:?}");
            assert!(told.contains("obs.json") && !told.contains("s3cret"), "{told}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))] // each writes files

        // of few digits: one with a fraction or an exponent is then read back exactly
        #[test]
        fn any_values_survive_their_file_and_any_damage_is_no_panic(
            token in ".{0,20}", port in -999_i64..1000, loud: bool, at: prop::sample::Index, with: u8,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let mut set = settings(dir.path());
            for (name, text) in [("token", token), ("port", port.to_string()), ("loud", loud.to_string())] {
                set.set(&specs(), name, &text).unwrap();
            }
            set.save().unwrap();
            prop_assert_eq!(settings(dir.path()), set);
            let file = dir.path().join("obs.json");
            let mut bytes = std::fs::read(&file).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = with;
            std::fs::write(&file, bytes).unwrap();
            if let Ok(read) = Settings::load(dir.path(), Owner::Installed, &"obs".parse().unwrap()) {
                prop_assert!(read.save().is_ok() && settings(dir.path()) == read);
            }
        }
    }
}
