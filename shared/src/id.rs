//! Plugin ids.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A plugin's id: `[a-z0-9][a-z0-9_-]{1,63}`.
///
/// It names directories, sockets and log files, so nothing else can become one.
/// `-` and `_` count as the same character where ids must be unique:
/// compare with [`PluginId::uniqueness_key`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode)]
#[serde(try_from = "String", into = "String")]
pub struct PluginId(String);

/// Why a text is no plugin id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{}' is not a plugin id: 2 to 64 of a-z, 0-9, '-' and '_', the first a letter or digit", .0.escape_debug())]
pub struct InvalidPluginId(String);

impl PluginId {
    /// The id as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which two ids that may not exist side by side are equal.
    #[must_use]
    pub fn uniqueness_key(&self) -> String {
        self.0.replace('-', "_")
    }
}

impl FromStr for PluginId {
    type Err = InvalidPluginId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = text.as_bytes();
        let valid = (2..=64).contains(&bytes.len())
            && bytes.first().is_some_and(plain)
            && bytes.iter().all(|byte| plain(byte) || matches!(byte, b'-' | b'_'));
        if valid { Ok(Self(text.to_owned())) } else { Err(InvalidPluginId(text.chars().take(80).collect())) }
    }
}

impl TryFrom<String> for PluginId {
    type Error = InvalidPluginId;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<PluginId> for String {
    fn from(id: PluginId) -> Self {
        id.0
    }
}

impl fmt::Display for PluginId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl AsRef<str> for PluginId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<C> Decode<C> for PluginId {
    fn decode<D: bincode::de::Decoder<Context = C>>(decoder: &mut D) -> Result<Self, bincode::error::DecodeError> {
        let text = String::decode(decoder)?;
        text.parse().map_err(|_| bincode::error::DecodeError::Other("not a plugin id"))
    }
}

impl<'de, C> bincode::BorrowDecode<'de, C> for PluginId {
    fn borrow_decode<D: bincode::de::BorrowDecoder<'de, Context = C>>(
        decoder: &mut D,
    ) -> Result<Self, bincode::error::DecodeError> {
        Self::decode(decoder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{PREFIX, decode, encode};
    use proptest::prelude::*;

    #[test]
    fn ids_name_files_so_nothing_else_is_one() {
        for good in ["echo", "a1", "0x", "obs-control", "my_plugin", &"a".repeat(64)] {
            assert!(good.parse::<PluginId>().is_ok(), "{good}");
        }
        for bad in ["", "a", "-a", "_a", "..", "a/b", "A1", "a b", "ä1", "a\0", "a.b", &"a".repeat(65)] {
            assert!(bad.parse::<PluginId>().is_err(), "{bad:?}");
            assert!(serde_json::from_value::<PluginId>(bad.into()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn dash_and_underscore_are_one_name() {
        let (a, b): (PluginId, PluginId) = ("a-b".parse().unwrap(), "a_b".parse().unwrap());
        assert_ne!(a, b);
        assert_eq!(a.uniqueness_key(), b.uniqueness_key());
    }

    proptest! {
        #[test]
        fn what_is_an_id_is_a_file_name_on_every_way_it_comes(text in "[a-z0-9_./A-Z-]{0,6}|(?s).{0,6}") {
            let id = text.parse::<PluginId>();
            if let Ok(id) = &id {
                prop_assert_eq!(id.as_str(), &text);
                prop_assert_eq!(std::path::Path::new(&text).components().count(), 1);
                prop_assert!(!text.starts_with(['.', '-']));
            }
            let mut frame = Vec::new();
            encode(&text, &mut frame).unwrap();
            prop_assert_eq!(decode::<PluginId>(&frame[PREFIX..]).ok(), id.clone().ok());
            prop_assert_eq!(serde_json::from_value::<PluginId>(text.into()).ok(), id.ok());
        }
    }
}
