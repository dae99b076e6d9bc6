//! Keys by name.

/// A key that can be clicked or held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key(pub String);
