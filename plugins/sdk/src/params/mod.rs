//! A call's parameters and a plugin's settings, as types of the plugin's own.

mod de;

use crate::{Error, backend};
use de::{Got, Place, Problem};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt::Display;
use std::ops::RangeInclusive;

/// A mapping's `params`, or a plugin's settings.
///
/// ```
/// use midimon_plugin::{Error, Params};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Fade {
///     scene: String,
///     #[serde(default)]
///     seconds: f64,
/// }
///
/// fn fade(params: &Params<'_>) -> Result<String, Error> {
///     let Fade { scene, seconds } = params.parse()?; // all of them at once …
///     let volume: u8 = params.within("volume", 0..=100)?; // … or one by one
///     let colour: Option<String> = params.optional("colour")?;
///     Ok(format!("{scene} in {seconds} s at {volume} in {colour:?}"))
/// }
/// # use midimon_plugin::test::params;
/// assert_eq!(fade(&params(r#"{"scene":"Live","volume":7}"#)).unwrap(), "Live in 0 s at 7 in None");
/// let error = fade(&params(r#"{"scene":"Live","volume":"loud"}"#)).unwrap_err();
/// assert_eq!(error.message(), r#"'volume': expected a number from 0 to 100, got "loud""#);
/// let error = fade(&params(r#"{"scene":"Live","seconds":true}"#)).unwrap_err();
/// assert_eq!(error.message(), "'seconds': expected a number, got true");
/// let error = fade(&params("{}")).unwrap_err();
/// assert_eq!(error.message(), "'scene' is missing");
/// ```
#[derive(Clone)]
pub struct Params<'c> {
    json: Cow<'c, str>,
    pairs: backend::Pairs<'c>,
    table: OnceCell<Map<String, Value>>,
}

impl<'c> Params<'c> {
    pub(crate) const fn new(json: Cow<'c, str>, pairs: backend::Pairs<'c>) -> Self {
        Self { json, pairs, table: OnceCell::new() }
    }

    /// One parameter as text: a string is itself, everything else its JSON.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        // a native call has them as text already: no parsing
        if let Some(text) = self.pairs.text(name) {
            return Some(Cow::Borrowed(text));
        }
        match self.table().ok()?.get(name)? {
            Value::String(text) => Some(Cow::Borrowed(text)),
            other => Some(Cow::Owned(other.to_string())),
        }
    }

    /// One parameter that must be there.
    ///
    /// # Errors
    /// It is missing, or something else than `T`: says which parameter, what was expected
    /// and what was there.
    pub fn get<T: DeserializeOwned>(&self, name: &str) -> Result<T, Error> {
        self.optional(name)?.ok_or_else(|| Error::new(Problem::missing(name)))
    }

    /// One parameter that may be left out.
    ///
    /// # Errors
    /// It is something else than `T`.
    pub fn optional<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let Some(value) = self.table()?.get(name) else { return Ok(None) };
        T::deserialize(Place(value)).map(Some).map_err(|problem| Error::new(problem.at(name)))
    }

    /// A number within bounds, that must be there.
    ///
    /// # Errors
    /// It is missing, no number, or outside: says which parameter, and the bounds.
    pub fn within<T>(&self, name: &str, bounds: RangeInclusive<T>) -> Result<T, Error>
    where
        T: DeserializeOwned + PartialOrd + Display,
    {
        let value = self.table()?.get(name).ok_or_else(|| Error::new(Problem::missing(name)))?;
        let number = T::deserialize(Place(value)).ok().filter(|number| bounds.contains(number));
        number.ok_or_else(|| {
            let (from, to) = bounds.into_inner();
            let expected = format!("a number from {from} to {to}");
            Error::new(Problem::unlike(expected, Got(value).to_string()).at(name))
        })
    }

    /// The whole table as a type of one's own.
    ///
    /// # Errors
    /// It does not fit: says which parameter, what was expected and what was there.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, Error> {
        T::deserialize(de::Table(self.table()?)).map_err(Error::new)
    }

    /// The table as JSON text, `{}` when there is none.
    #[must_use]
    pub fn json(&self) -> &str {
        &self.json
    }

    fn table(&self) -> Result<&Map<String, Value>, Error> {
        if let Some(table) = self.table.get() {
            return Ok(table);
        }
        let table = serde_json::from_str(&self.json)
            .map_err(|error| Error::new(format_args!("the parameters are not a JSON object: {error}")))?;
        Ok(self.table.get_or_init(|| table))
    }
}
