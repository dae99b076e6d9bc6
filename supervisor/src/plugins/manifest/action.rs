//! Actions and the types of their parameters.

use super::walk::{Field, Table};
use serde_json::{Map, Value};
use std::fmt;

/// Something a mapping can make the plugin do.
#[derive(Clone, Debug, PartialEq)]
pub struct ActionSpec {
    /// As mappings name it.
    pub name: String,
    /// What it does, in a line.
    pub description: String,
    /// What it can be told.
    pub params: Vec<ParamSpec>,
    /// Parameters that work, for people to copy.
    pub example: Option<Map<String, Value>>,
}

/// A parameter of an action.
#[derive(Clone, Debug, PartialEq)]
pub struct ParamSpec {
    /// Its name.
    pub name: String,
    /// What it can be.
    pub ty: ParamType,
    /// Whether an action cannot do without.
    pub required: bool,
    /// What the plugin takes when it is not given.
    pub default: Option<Value>,
    /// What it means.
    pub description: String,
}

/// What a parameter can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ParamType {
    String,
    Integer,
    Number,
    Boolean,
    Array,
    Table,
}

impl ParamType {
    const WORDS: [(&'static str, Self); 6] = [
        ("string", Self::String),
        ("integer", Self::Integer),
        ("number", Self::Number),
        ("boolean", Self::Boolean),
        ("array", Self::Array),
        ("table", Self::Table),
    ];

    /// Whether a value is of this type; a whole number is a number too.
    #[must_use]
    pub fn accepts(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::Array => value.is_array(),
            Self::Table => value.is_object(),
        }
    }
}

impl fmt::Display for ParamType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::WORDS.iter().find(|(_, ty)| ty == self).map_or("", |(word, _)| word);
        formatter.pad(word)
    }
}

/// What is wrong with the parameters of a mapping.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum ParamProblem {
    #[error("`{action}` needs the parameter `{name}` ({ty})")]
    Missing { action: String, name: String, ty: ParamType },
    #[error("`{action}` has no parameter `{name}`; it has: {known}")]
    Unknown { action: String, name: String, known: String },
    #[error("the parameter `{name}` of `{action}` must be of type {ty}")]
    Type { action: String, name: String, ty: ParamType },
}

impl ActionSpec {
    /// What is wrong with these parameters for this action.
    #[must_use]
    pub fn check(&self, params: &Map<String, Value>) -> Vec<ParamProblem> {
        let action = || self.name.clone();
        let mut problems = Vec::new();
        for spec in &self.params {
            let (name, ty) = (spec.name.clone(), spec.ty);
            match params.get(&spec.name) {
                None if spec.required => problems.push(ParamProblem::Missing { action: action(), name, ty }),
                Some(value) if !ty.accepts(value) => problems.push(ParamProblem::Type { action: action(), name, ty }),
                _ => {}
            }
        }
        for name in params.keys().filter(|name| self.params.iter().all(|spec| spec.name != **name)) {
            let known: Vec<&str> = self.params.iter().map(|spec| spec.name.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            problems.push(ParamProblem::Unknown { action: action(), name: name.clone(), known });
        }
        problems
    }
}

pub(super) fn actions(field: &Field<'_>) -> Vec<ActionSpec> {
    let mut actions: Vec<ActionSpec> = Vec::new();
    for table in field.tables(256) {
        if let Some(action) = action(table, &actions) {
            actions.push(action);
        }
    }
    actions
}

fn action(mut table: Table<'_>, earlier: &[ActionSpec]) -> Option<ActionSpec> {
    let name = table.require("name");
    let description = table.take("description").and_then(|field| field.text(500)).unwrap_or_default();
    let params = table.take("params").map(|field| params(&field)).unwrap_or_default();
    let example = table.take("example");
    table.finish();
    let field = name?;
    let name = field.text(64)?;
    if earlier.iter().any(|action| action.name == name) {
        field.report(format!("there are two actions `{name}`"));
    }
    let mut action = ActionSpec { name, description, params, example: None };
    if let Some(example) = example {
        match example.json()? {
            Value::Object(params) => {
                for problem in action.check(&params) {
                    example.report(format!("the example does not work: {problem}"));
                }
                action.example = Some(params);
            }
            _ => example.report("`example` must be a table of parameters"),
        }
    }
    Some(action)
}

fn params(field: &Field<'_>) -> Vec<ParamSpec> {
    let mut params: Vec<ParamSpec> = Vec::new();
    for table in field.tables(64) {
        if let Some(param) = param(table, &params) {
            params.push(param);
        }
    }
    params
}

fn param(mut table: Table<'_>, earlier: &[ParamSpec]) -> Option<ParamSpec> {
    let name = table.require("name");
    let ty = table.require("type").and_then(|field| field.choice(&ParamType::WORDS));
    let required = table.take("required").and_then(|field| field.boolean()).unwrap_or(false);
    let default = table.take("default");
    let description = table.take("description").and_then(|field| field.text(500)).unwrap_or_default();
    table.finish();
    let (field, ty) = (name?, ty?);
    let name = field.text(64)?;
    if earlier.iter().any(|param| param.name == name) {
        field.report(format!("there are two parameters `{name}`"));
    }
    if let Some(default) = default.as_ref().filter(|_| required) {
        default.report("a required parameter has no use for a `default`");
    }
    let value = default.as_ref().and_then(Field::json);
    if let (Some(field), Some(value)) = (&default, &value)
        && !ty.accepts(value)
    {
        field.report(format!("`default` is not of type {ty}"));
    }
    Some(ParamSpec { name, ty, required, default: value, description })
}
