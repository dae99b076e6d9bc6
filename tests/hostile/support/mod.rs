//! How a case is run: outside, in `handle`, in a constructor, on a constructor's thread.

mod binaries;
mod case;
mod ground;

pub use binaries::Libraries;
pub use case::{Case, Expected, Mode, Seen, observe};
pub use ground::Ground;

/// A test for each line: its name, the case, and what must come of it.
macro_rules! cases {
    ($($(#[$attribute:meta])* $name:ident: $case:expr => $expected:expr;)*) => {
        $($(#[$attribute])* #[test] fn $name() { $case.must($expected); })*
    };
}
pub(crate) use cases;
