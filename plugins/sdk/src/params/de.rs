//! JSON into types, with errors that name the place and say what was there.

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, Expected, MapAccess, SeqAccess, Unexpected};
use serde::de::{VariantAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};
use std::fmt::{self, Display, Formatter};

/// Longest text that an error repeats, in characters.
const MAX_SHOWN: usize = 60;

/// Why a value is not what it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// From the outside in: `colours`, `[2]`, `red`.
    place: Vec<String>,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Unlike { expected: String, got: String },
    Missing,
    Other(String),
}

impl Problem {
    pub(super) fn missing(name: &str) -> Self {
        Self { place: vec![name.to_owned()], what: What::Missing }
    }

    pub(super) const fn unlike(expected: String, got: String) -> Self {
        Self { place: Vec::new(), what: What::Unlike { expected, got } }
    }

    /// The same, one level further out.
    pub(super) fn at(mut self, name: &str) -> Self {
        self.place.insert(0, name.to_owned());
        self
    }
}

impl Display for Problem {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let mut place = String::new();
        for part in &self.place {
            if !place.is_empty() && !part.starts_with('[') {
                place.push('.');
            }
            place.push_str(part);
        }
        match (&self.what, place.is_empty()) {
            (What::Missing, _) => write!(formatter, "'{place}' is missing"),
            (What::Unlike { expected, got }, true) => write!(formatter, "expected {expected}, got {got}"),
            (What::Unlike { expected, got }, false) => write!(formatter, "'{place}': expected {expected}, got {got}"),
            (What::Other(words), true) => formatter.write_str(words),
            (What::Other(words), false) => write!(formatter, "'{place}': {words}"),
        }
    }
}

impl std::error::Error for Problem {}

impl Error for Problem {
    fn custom<T: Display>(message: T) -> Self {
        Self { place: Vec::new(), what: What::Other(message.to_string()) }
    }

    fn invalid_type(got: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::unlike(words(&expected.to_string()), shown(got))
    }

    fn invalid_value(got: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(got, expected)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::unlike(one_of(expected), quoted(variant))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self {
            place: vec![field.to_owned()],
            what: What::Other(format!("there is no such parameter; there is {}", listed(expected))),
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Self::missing(field)
    }
}

/// What Rust calls a type, as people do.
fn words(expected: &str) -> String {
    let whole = |from: &dyn Display, to: &dyn Display| format!("a whole number from {from} to {to}");
    match expected {
        "u8" => whole(&u8::MIN, &u8::MAX),
        "u16" => whole(&u16::MIN, &u16::MAX),
        "u32" => whole(&u32::MIN, &u32::MAX),
        "i8" => whole(&i8::MIN, &i8::MAX),
        "i16" => whole(&i16::MIN, &i16::MAX),
        "i32" => whole(&i32::MIN, &i32::MAX),
        "u64" | "usize" => "a whole number that is not negative".to_owned(),
        "i64" | "isize" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a string" => "a text".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        other => other.strip_prefix("struct ").map_or_else(|| other.to_owned(), |name| format!("a table ({name})")),
    }
}

fn one_of(names: &[&str]) -> String {
    match names {
        [one] => quoted(one),
        _ => format!("one of {}", listed(names)),
    }
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}

fn shown(got: Unexpected<'_>) -> String {
    match got {
        Unexpected::Str(text) => quoted(text),
        Unexpected::Bool(value) => value.to_string(),
        Unexpected::Unsigned(number) => number.to_string(),
        Unexpected::Signed(number) => number.to_string(),
        Unexpected::Float(number) => number.to_string(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Map => "a table".to_owned(),
        Unexpected::Unit => "null".to_owned(),
        other => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}

/// A value as an error shows it.
pub(super) struct Got<'v>(pub(super) &'v Value);

impl Display for Got<'_> {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::String(text) => formatter.write_str(&quoted(text)),
            Value::Array(_) => formatter.write_str("a list"),
            Value::Object(_) => formatter.write_str("a table"),
            small => write!(formatter, "{small}"),
        }
    }
}

/// A table; errors in it begin with the key.
#[derive(Clone, Copy)]
pub(super) struct Table<'v>(pub(super) &'v Map<String, Value>);

/// A value in it.
#[derive(Clone, Copy)]
pub(super) struct Place<'v>(pub(super) &'v Value);

impl<'de> Deserializer<'de> for Table<'_> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_map(Entries { rest: self.0.iter(), value: None })
    }

    // `parse::<()>()` and `parse::<Option<…>>()` are about a table that is there
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    /// `{ name: value }` is a variant with something in it.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let mut entries = self.0.iter();
        match (entries.next(), entries.next()) {
            (Some((name, value)), None) => visitor.visit_enum(Variant { name, value: Some(value) }),
            _ => Err(Problem::unlike("a table with one key".to_owned(), format!("one with {}", self.0.len()))),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de> Deserializer<'de> for Place<'_> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::String(text) => visitor.visit_str(text),
            Value::Array(list) => visitor.visit_seq(Items { rest: list.iter().enumerate() }),
            Value::Object(table) => Table(table).deserialize_any(visitor),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), ..) => visitor.visit_u64(number),
                (_, Some(number), _) => visitor.visit_i64(number),
                (.., Some(number)) => visitor.visit_f64(number),
                _ => Err(Problem::custom("a number that is too long")),
            },
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match self.0 {
            Value::String(name) => visitor.visit_enum(Variant { name, value: None }),
            Value::Object(table) => Table(table).deserialize_enum(name, variants, visitor),
            other => Err(Problem::unlike(one_of(variants), Got(other).to_string())),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// What is left of a table.
struct Entries<'v> {
    rest: serde_json::map::Iter<'v>,
    /// Of the key that was given out last.
    value: Option<(&'v str, &'v Value)>,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Problem> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        self.value = Some((key, value));
        seed.deserialize(StrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        let (key, value) = self.value.take().ok_or_else(|| Problem::custom("a value without its key"))?;
        seed.deserialize(Place(value)).map_err(|problem| problem.at(key))
    }
}

/// What is left of a list.
struct Items<'v> {
    rest: std::iter::Enumerate<std::slice::Iter<'v, Value>>,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Problem> {
        let Some((index, value)) = self.rest.next() else { return Ok(None) };
        seed.deserialize(Place(value)).map(Some).map_err(|problem| problem.at(&format!("[{index}]")))
    }
}

/// A variant by its name, with what it holds.
struct Variant<'v> {
    name: &'v str,
    value: Option<&'v Value>,
}

impl<'de, 'v> EnumAccess<'de> for Variant<'v> {
    type Error = Problem;
    type Variant = Held<'v>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Held<'v>), Problem> {
        Ok((seed.deserialize(StrDeserializer::new(self.name))?, Held(self)))
    }
}

/// What a variant holds.
struct Held<'v>(Variant<'v>);

impl<'v> Held<'v> {
    fn value(&self) -> Result<Place<'v>, Problem> {
        let name = self.0.name;
        self.0.value.map(Place).ok_or_else(|| Problem::unlike(format!("{{ {name} = … }}"), quoted(name)))
    }
}

impl<'de> VariantAccess<'de> for Held<'_> {
    type Error = Problem;

    fn unit_variant(self) -> Result<(), Problem> {
        match self.0.value {
            None | Some(Value::Null) => Ok(()),
            Some(value) => Err(Problem::unlike(quoted(self.0.name), format!("it with {}", Got(value)))),
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Problem> {
        seed.deserialize(self.value()?).map_err(|problem| problem.at(self.0.name))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Problem> {
        self.value()?.deserialize_any(visitor).map_err(|problem| problem.at(self.0.name))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Problem> {
        self.value()?.deserialize_any(visitor).map_err(|problem| problem.at(self.0.name))
    }
}
