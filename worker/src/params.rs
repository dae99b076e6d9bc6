//! A binding's parameters, parsed once when they come.

use midimon_shared::limits::MAX_PARAMS;
use serde_json::{Map, Value};

/// A JSON object and its values as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// The object.
    pub json: String,
    /// Names and values in the order written: a string is itself, everything else its JSON.
    pub texts: Vec<(String, String)>,
}

impl Params {
    /// Parses an object; no text at all is the empty one.
    ///
    /// # Errors
    /// It is no JSON object, or over [`MAX_PARAMS`] bytes.
    pub fn parse(json: String) -> Result<Self, String> {
        if json.is_empty() {
            return Ok(Self { json: "{}".to_owned(), texts: Vec::new() });
        }
        if json.len() > MAX_PARAMS {
            return Err(format!("the parameters have {} bytes, the limit is {MAX_PARAMS}", json.len()));
        }
        let object: Map<String, Value> =
            serde_json::from_str(&json).map_err(|error| format!("the parameters are not a JSON object: {error}"))?;
        let texts = object.into_iter().map(|(name, value)| (name, text(value))).collect();
        Ok(Self { json, texts })
    }
}

fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_become_text_in_the_order_written() {
        let params = Params::parse(r#"{"z":"a \"b\"","a":1.5,"m":[1,{"x":null}],"b":true}"#.into()).unwrap();
        let texts: Vec<_> = params.texts.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(texts, [("z", "a \"b\""), ("a", "1.5"), ("m", r#"[1,{"x":null}]"#), ("b", "true")]);
    }

    #[test]
    fn only_an_object_of_bounded_size_is_taken() {
        assert_eq!(Params::parse(String::new()).unwrap().json, "{}");
        for bad in ["[]", "1", "{", "{}x", "null"] {
            assert!(Params::parse(bad.into()).unwrap_err().contains("not a JSON object"), "{bad}");
        }
        assert!(Params::parse("[".repeat(100_000)).is_err());
        assert!(Params::parse(format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_PARAMS))).unwrap_err().contains("limit"));
    }

    proptest! {
        #[test]
        fn any_object_is_taken_with_all_its_names_and_nothing_else_is(
            values in prop::collection::btree_map(any::<String>(), any::<String>(), 0..5), text in any::<String>(),
        ) {
            let _ = Params::parse(text);
            let json = serde_json::to_string(&values).unwrap();
            let params = Params::parse(json.clone()).unwrap();
            prop_assert_eq!(&params.json, &json);
            prop_assert_eq!(params.texts.into_iter().collect::<std::collections::BTreeMap<_, _>>(), values);
        }
    }
}
