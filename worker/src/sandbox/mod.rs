//! What a worker does to itself before it touches a plugin, one file a layer.
//!
//! Each layer returns what it achieved and fails closed: the program ends with
//! the layer's own exit code ([`midimon_shared::WorkerExit`]). The programs'
//! `main` files are the order.
#![allow(unsafe_code)] // system calls without a safe wrapper

pub mod alarm;
pub mod capabilities;
pub mod code;
pub mod descriptors;
pub mod footprint;
pub mod landlock;
pub mod leave;
pub mod lifeline;
pub mod limits;
pub mod passed;
pub mod priority;
pub mod privileges;
pub mod seccomp;
pub mod signals;
pub mod surroundings;
pub mod violation;
