//! A table of parameters as JSON, its keys in the order written.

use super::codes::Code;
use super::walker::Field;
use midimon_shared::limits::MAX_PARAMS;
use serde_json::{Map, Number, Value};
use toml::de::{DeTable, DeValue};

/// A plugin's parameters as a JSON object; `{}` when the key is missing.
pub(super) fn params(field: Field<'_>) -> Option<String> {
    let Some(value) = field.value() else {
        return Some("{}".to_owned());
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
    let json = object.to_string();
    if json.len() > MAX_PARAMS {
        field.error(
            Code::TooMany,
            format!("`{}` has {} bytes as JSON; at most {MAX_PARAMS} are possible", field.key, json.len()),
        );
        return None;
    }
    Some(json)
}

fn object(entries: &DeTable<'_>) -> Result<Value, &'static str> {
    let mut ordered: Vec<_> = entries.iter().collect();
    ordered.sort_by_key(|(key, _)| key.span().start);
    let entry = |(key, value): (&toml::Spanned<std::borrow::Cow<'_, str>>, &toml::Spanned<DeValue<'_>>)| {
        Ok((key.get_ref().clone().into_owned(), json(value.get_ref())?))
    };
    ordered.into_iter().map(entry).collect::<Result<Map<_, _>, _>>().map(Value::Object)
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
        DeValue::Table(entries) => object(entries)?,
    })
}
