//! Notes when its handler is entered. `mark` keeps the time, `pop` gives the
//! oldest one back as its error code: the last 31 bits of `CLOCK_MONOTONIC` in
//! nanoseconds, since that is all a module of the MIDIMon ABI can answer.
#![deny(unsafe_code)]

use midimon_plugin::{Context, Error, Metadata, Outcome, Params, Plugin, export_plugin};
use nix::time::{ClockId, clock_gettime};
use std::collections::VecDeque;

#[derive(Default)]
struct Probe {
    entered: VecDeque<i32>,
}

impl Plugin for Probe {
    fn describe() -> Metadata {
        Metadata { name: "Probe", version: env!("CARGO_PKG_VERSION"), description: "Notes when it is called" }
    }

    fn handle(&mut self, action: &str, _params: &Params<'_>, _context: &Context<'_>) -> Result<Outcome, Error> {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
        match action {
            "mark" => {
                let nanos = now.tv_sec().wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec());
                self.entered.push_back((nanos & 0x7FFF_FFFF) as i32);
                Ok(Outcome::ok())
            }
            "pop" => Err(Error::new("").with_code(self.entered.pop_front().unwrap_or(-1))),
            _ => Err(Error::unknown_action(action)),
        }
    }
}

export_plugin!(Probe);
