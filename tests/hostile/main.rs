//! The catalogue of what hostile plugins try, entries 1 to 83, each in a process of its own
//! through the real binaries, beside a positive control: the same library, without the sandbox.
//!
//! A case is a C file in `cases/` (see `case.h`) and a line here; what needs more than a line
//! has a test function. A test's name begins with its number in the catalogue.

mod support;
mod sweep;
mod wasm;

mod channels;
mod crowd;
mod files;
mod honest;
mod life;
mod memory;
mod network;
mod processes;
mod requests;
