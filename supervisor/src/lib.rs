//! The supervisor: MIDI in, mapping, effects, and the workers that run plugins.
//!
//! Data flows downwards and never back up:
//! [`cli`] → [`daemon`] → [`midi`] → [`mapping`] → [`action`] and [`workers`].
//! [`plugins`] says what a plugin is and may do, [`audit`] keeps what it did,
//! [`control`] answers other processes, [`monitor`] lets people watch, [`sys`]
//! holds the few raw system calls.
#![deny(unsafe_code)] // allowed in `sys` alone

pub mod action;
pub mod audit;
pub mod cli;
pub mod clock;
pub mod control;
pub mod daemon;
pub mod doctor;
pub mod home;
pub mod mapping;
pub mod midi;
pub mod monitor;
pub mod plugins;
pub mod sys;
#[cfg(test)]
mod testing;
pub mod timestamp;
pub mod workers;
