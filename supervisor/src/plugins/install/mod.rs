//! Installing and updating plugins: verify, show, agree, stage, try, commit.
//!
//! ```text
//! Packages ─▶ Offer ─▶ Contents ─look─▶ Plan ─▶ the user's Choices ─▶ GrantFile
//!                          └──────────────▶ Workshop::install ◀──────────┘
//! ```
//!
//! [`plan`](mod@plan) says what would change, [`consent`] what the user's word makes of
//! it; both are pure. Nothing here asks anybody: that is the command line's.

pub mod consent;
pub mod look;
pub mod plan;
pub mod source;
pub mod steps;
#[cfg(test)]
pub(crate) mod testing;
pub mod words;

pub use consent::Choice;
pub use look::look;
pub use plan::{Plan, plan};
pub use source::{Local, Offer, Packages};
pub use steps::{Agreed, Done, Progress, Step, Stopped, Workshop};
