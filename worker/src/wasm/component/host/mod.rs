//! The functions of midimon's that a component can import.

mod effects;
mod own;
mod requests;

use super::state::{Refused, invalid};

/// A guest's text or bytes, never cut: what is too long is refused.
pub(super) fn within<T: AsRef<[u8]>>(what: &str, value: T, max: usize) -> Result<T, Refused> {
    match value.as_ref().len() {
        length if length > max => Err(invalid(format!("the {what} has {length} bytes; {max} are the most"))),
        _ => Ok(value),
    }
}
