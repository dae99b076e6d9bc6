//! A table of parameters as JSON, its keys in the order written.

use super::codes::Code;
use super::walker::Field;
use midimon_shared::limits::MAX_PARAMS;
use serde_json::{Map, Number, Value};
use std::borrow::Cow;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A key of a table and its value.
pub(super) type Entry<'t, 'i> = (&'t Spanned<Cow<'i, str>>, &'t Spanned<DeValue<'i>>);

/// A plugin's parameters, and the same as a JSON object; none when the key is missing.
pub(super) fn params(field: &Field<'_>) -> Option<(Map<String, Value>, Arc<str>)> {
    let Some(value) = field.value() else {
        return Some((Map::new(), "{}".into()));
    };
    let Some(entries) = value.as_table() else {
        field.wrong_type("a table");
        return None;
    };
    let object = match object(entries) {
        Ok(object) => object,
        Err(why) => {
            field.error(Code::OutOfRange, format!("`{}` {why}", field.key));
            return None;
        }
    };
    let json = serde_json::to_string(&object).ok()?; // cannot fail: its keys are text
    if json.len() > MAX_PARAMS {
        field.error(
            Code::TooMany,
            format!("`{}` has {} bytes as JSON; at most {MAX_PARAMS} are possible", field.key, json.len()),
        );
        return None;
    }
    Some((object, json.into()))
}

/// Parameters that somebody types, in TOML: lines such as `a = 1`, or one `{ a = 1, b = 2 }`.
///
/// # Errors
/// It is no TOML, or has something JSON has not.
pub fn from_toml(text: &str) -> Result<Map<String, Value>, String> {
    let inline = text.trim_start().starts_with('{');
    let wrapped = if inline { format!("params = {text}") } else { text.to_owned() };
    let table = DeTable::parse(&wrapped)
        .map_err(|error| format!("it must be TOML such as 'text = \"hello\"': {}", error.message()))?;
    let object = |entries: &DeTable<'_>| object(entries).map_err(|why| format!("it {why}"));
    if !inline {
        return object(table.get_ref());
    }
    // `{}` and more lines after it would be a second key beside `params`
    match (table.get_ref().len(), table.get_ref().get("params").map(|value| value.get_ref())) {
        (1, Some(DeValue::Table(entries))) => object(entries),
        _ => Err("after '{ … }' nothing may follow".to_owned()),
    }
}

fn object(entries: &DeTable<'_>) -> Result<Map<String, Value>, &'static str> {
    let mut object = Map::with_capacity(entries.len());
    for (key, value) in in_order(entries) {
        object.insert(key.get_ref().as_ref().to_owned(), json(value.get_ref())?);
    }
    Ok(object)
}

/// The entries of a table in the order written.
pub(super) fn in_order<'t, 'i>(entries: &'t DeTable<'i>) -> Vec<Entry<'t, 'i>> {
    let mut ordered: Vec<_> = entries.iter().collect();
    ordered.sort_unstable_by_key(|(key, _)| key.span().start);
    ordered
}

fn json(value: &DeValue<'_>) -> Result<Value, &'static str> {
    Ok(match value {
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Integer(integer) => i64::from_str_radix(&integer.as_str().replace('_', ""), integer.radix())
            .map_err(|_| "has an integer of more than 64 bits")?
            .into(),
        DeValue::Float(float) => float
            .as_str()
            .replace('_', "")
            .parse()
            .ok()
            .and_then(Number::from_f64)
            .map(Value::Number)
            .ok_or("has a number that JSON cannot express (inf or nan)")?,
        DeValue::Boolean(boolean) => Value::Bool(*boolean),
        DeValue::Datetime(datetime) => Value::String(datetime.to_string()),
        DeValue::Array(array) => {
            Value::Array(array.iter().map(|element| json(element.get_ref())).collect::<Result<_, _>>()?)
        }
        DeValue::Table(entries) => Value::Object(object(entries)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_type_becomes_the_same_object_as_in_a_mapping() {
        let typed = |text: &str| from_toml(text).map(|object| Value::Object(object).to_string());
        assert_eq!(typed(""), Ok("{}".into()));
        assert_eq!(typed("b = 'x'\na = 0x10"), Ok(r#"{"b":"x","a":16}"#.into()));
        assert_eq!(typed("  { b = 1.5, a = [true] }"), Ok(r#"{"b":1.5,"a":[true]}"#.into()));
        for wrong in ["a", "{ a = 1", "{ a = 1 }\nb = 2", "a = nan", "{}{}", "params = {"] {
            assert!(typed(wrong).is_err(), "{wrong}");
        }
    }
}
