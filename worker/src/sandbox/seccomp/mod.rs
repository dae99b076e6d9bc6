//! System-call filters: the policy (data), the programs made from it when the worker was built, and
//! installing them.

mod filters;
mod install;
pub mod policy;
mod self_test;

pub use filters::{NUMBERS, SIZES, program};
pub use install::{Stage, enter, lock_down};
