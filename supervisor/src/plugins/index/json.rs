//! Reads JSON as strictly as midimon reads TOML: no key twice, none that is not
//! known, everything bounded, and every mistake told with the path to it.

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use std::cell::Cell;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Most values in a document; an index of 16 MiB has a tenth of it.
const MAX_VALUES: usize = 4_000_000;
/// Deepest nesting; an index has six levels.
const MAX_DEPTH: usize = 12;

/// One mistake and where it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct Fault {
    /// Such as `plugins[3].versions[0].size`.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

/// A value as it stands in the text.
#[derive(Debug)]
enum Node {
    Null,
    Boolean(bool),
    Integer(u64),
    /// One that no field here can be.
    Number,
    Text(String),
    Array(Vec<Node>),
    Object(Vec<(String, Node)>),
}

impl Node {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "true or false",
            Self::Integer(_) | Self::Number => "a number",
            Self::Text(_) => "a text",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

/// Where a value is: in which part of the document, and how deep.
#[derive(Clone, Copy)]
struct Place<'p> {
    up: Option<&'p Place<'p>>,
    step: Step<'p>,
    depth: usize,
    values: &'p Cell<usize>,
}

#[derive(Clone, Copy)]
enum Step<'p> {
    Root,
    Key(&'p str),
    Item(usize),
}

impl<'p> Place<'p> {
    fn below(&'p self, step: Step<'p>) -> Place<'p> {
        Place { up: Some(self), step, depth: self.depth + 1, values: self.values }
    }

    fn path(&self) -> String {
        let up = self.up.map(Place::path).unwrap_or_default();
        match self.step {
            Step::Root => String::new(),
            Step::Key(key) => joined(&up, key),
            Step::Item(index) => format!("{up}[{index}]"),
        }
    }
}

/// Keys are a stranger's: cut and escaped.
fn shown(key: &str) -> String {
    key.chars().take(80).collect::<String>().escape_debug().to_string()
}

fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { shown(key) } else { format!("{path}.{}", shown(key)) }
}

impl<'de> DeserializeSeed<'de> for Place<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        self.values.set(self.values.get() + 1);
        if self.values.get() > MAX_VALUES {
            return Err(D::Error::custom(format!("there are over {MAX_VALUES} values")));
        }
        if self.depth > MAX_DEPTH {
            return Err(D::Error::custom(format!("{}: is nested too deeply", self.path())));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Place<'_> {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Boolean(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Integer(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element_seed(self.below(Step::Item(items.len())))? {
            items.push(item);
        }
        Ok(Node::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries: Vec<(String, Node)> = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            if entries.len() >= MAX_KEYS {
                return Err(A::Error::custom(format!("{}: has over {MAX_KEYS} keys", self.path())));
            }
            if entries.iter().any(|(known, _)| *known == key) {
                return Err(A::Error::custom(format!("{}: this key is there twice", joined(&self.path(), &key))));
            }
            let value = map.next_value_seed(self.below(Step::Key(&key)))?;
            entries.push((key, value));
        }
        Ok(Node::Object(entries))
    }
}

/// Most keys of an object; no object here knows half as many.
const MAX_KEYS: usize = 32;

/// Reads a whole document, which must be an object.
pub(super) fn document(bytes: &[u8]) -> Result<Object, Fault> {
    let values = Cell::new(0);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let place = Place { up: None, step: Step::Root, depth: 0, values: &values };
    let node = place.deserialize(&mut deserializer).and_then(|node| deserializer.end().map(|()| node));
    let fault = |error: serde_json::Error| Fault { path: "index.json".to_owned(), message: error.to_string() };
    Field { path: String::new(), node: node.map_err(fault)? }.object()
}

/// An object, from which fields are taken; [`Object::finish`] refuses the rest.
#[derive(Debug)]
pub(super) struct Object {
    path: String,
    entries: Vec<(String, Node)>,
    known: Vec<&'static str>,
}

impl Object {
    /// The field `key`, when it is there.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Field> {
        self.known.push(key);
        let at = self.entries.iter().position(|(name, _)| name == key)?;
        let (_, node) = self.entries.swap_remove(at);
        Some(Field { path: joined(&self.path, key), node })
    }

    /// The field `key`, which must be there.
    pub(super) fn require(&mut self, key: &'static str) -> Result<Field, Fault> {
        let path = joined(&self.path, key);
        self.take(key).ok_or(Fault { path, message: "is missing".to_owned() })
    }

    /// What is wrong with the object as a whole.
    pub(super) fn fault(&self, message: impl Into<String>) -> Fault {
        let path = if self.path.is_empty() { "index.json" } else { &self.path };
        Fault { path: path.to_owned(), message: message.into() }
    }

    /// Refuses every key that was not asked for.
    pub(super) fn finish(self) -> Result<(), Fault> {
        let Some((key, _)) = self.entries.first() else { return Ok(()) };
        let similar = |known: &&&str| strsim::damerau_levenshtein(known, &shown(key)) <= 2;
        let help = match self.known.iter().find(similar) {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("known here: {}", self.known.join(", ")),
        };
        Err(Fault { path: joined(&self.path, key), message: format!("this key is not known; {help}") })
    }
}

/// One value and the path to it.
#[derive(Debug)]
pub(super) struct Field {
    path: String,
    node: Node,
}

impl Field {
    pub(super) fn fault(&self, message: impl Into<String>) -> Fault {
        Fault { path: self.path.clone(), message: message.into() }
    }

    fn expected(&self, what: &str) -> Fault {
        self.fault(format!("must be {what}, not {}", self.node.kind()))
    }

    pub(super) fn object(self) -> Result<Object, Fault> {
        match self.node {
            Node::Object(entries) => Ok(Object { path: self.path, entries, known: Vec::new() }),
            _ => Err(self.expected("an object")),
        }
    }

    /// Each entry of an array of at most `max`.
    pub(super) fn items(self, max: usize) -> Result<Vec<Self>, Fault> {
        let Node::Array(items) = self.node else { return Err(self.expected("an array")) };
        if items.len() > max {
            return Err(Fault { path: self.path, message: format!("has more than {max} entries") });
        }
        let field = |(index, node)| Self { path: format!("{}[{index}]", self.path), node };
        Ok(items.into_iter().enumerate().map(field).collect())
    }

    /// The text, whatever is in it.
    pub(super) fn raw(&self, max: usize) -> Result<&str, Fault> {
        let Node::Text(text) = &self.node else { return Err(self.expected("a text")) };
        if text.len() > max { Err(self.fault(format!("is over {max} bytes"))) } else { Ok(text) }
    }

    /// A text that can be shown in one line, of at most `max` characters.
    pub(super) fn text(&self, max: usize) -> Result<String, Fault> {
        let text = self.raw(max.saturating_mul(4))?;
        if text.trim().is_empty() {
            return Err(self.fault("is empty"));
        }
        if text.chars().count() > max {
            return Err(self.fault(format!("is over {max} characters")));
        }
        match midimon_shared::text::unshowable(text) {
            Some(bad) => {
                Err(self.fault(format!("has the character U+{:04X}, which cannot be shown safely", u32::from(bad))))
            }
            None => Ok(text.to_owned()),
        }
    }

    /// A text of at most 256 characters that has a type of its own.
    pub(super) fn parse<T: FromStr<Err: fmt::Display>>(&self) -> Result<T, Fault> {
        self.text(256)?.parse().map_err(|error| self.fault(format!("{error}")))
    }

    pub(super) fn integer(&self, range: RangeInclusive<u64>) -> Result<u64, Fault> {
        match self.node {
            Node::Integer(value) if range.contains(&value) => Ok(value),
            Node::Integer(_) | Node::Number => {
                Err(self.fault(format!("must be a whole number from {} to {}", range.start(), range.end())))
            }
            _ => Err(self.expected("a whole number")),
        }
    }

    pub(super) fn boolean(&self) -> Result<bool, Fault> {
        if let Node::Boolean(value) = self.node { Ok(value) } else { Err(self.expected("true or false")) }
    }
}
