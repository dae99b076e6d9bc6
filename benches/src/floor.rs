//! What no design can beat: two processes that pass the same bytes over raw pipes.

use crate::Result;
use midimon::clock::now;
use midimon_shared::codec::{TriggerFrame, encode};
use midimon_shared::context::TriggerStamp;
use midimon_shared::protocol::{Outcome, Trigger};
use midimon_shared::{BindingId, CallId, ChannelMessage, Event};
use nix::unistd::{read, write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The argument that makes this program the process at the other end.
pub const PARTNER: &str = "raw-pipe-partner";

/// First byte of a frame that asks when it was read.
const TIMED: u8 = 1;

/// The bytes of a pressed note's trigger, and of its answer.
fn frames() -> Result<(Vec<u8>, Vec<u8>)> {
    let stamp = TriggerStamp {
        velocity: Some(100),
        mode: Some(0),
        device: Some(0),
        message: ChannelMessage::from_bytes([0x90, 60, 100]),
        ..TriggerStamp::default()
    };
    let trigger = TriggerFrame::new(Trigger { call: CallId(1), binding: BindingId(0), stamp });
    let mut answer = Vec::new();
    encode(&Event::Done { call: CallId(1), outcome: Outcome::Ok }, &mut answer)?;
    Ok((trigger.as_bytes().to_vec(), answer))
}

/// Pipes to a partner process; it ends when dropped.
pub struct Floor {
    partner: Child,
    to: ChildStdin,
    from: ChildStdout,
    frame: Vec<u8>,
    answer: Vec<u8>,
}

impl Floor {
    /// Starts the partner.
    pub fn start() -> Result<Self> {
        let (frame, answer) = frames()?;
        let mut command = Command::new(std::env::current_exe()?);
        let mut partner = command.arg(PARTNER).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let (Some(to), Some(from)) = (partner.stdin.take(), partner.stdout.take()) else {
            return Err("the raw-pipe partner has no pipes".into());
        };
        Ok(Self { partner, to, from, frame, answer })
    }

    /// The partner's process id.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.partner.id()).unwrap_or(0)
    }

    /// There and back; nanoseconds.
    pub fn round_trip(&mut self) -> Result<u64> {
        self.frame[0] = 0;
        let started = now();
        self.pass()?;
        Ok(now().as_nanos() - started.as_nanos())
    }

    /// From before the write to the partner's return from its read; nanoseconds.
    pub fn one_way(&mut self) -> Result<u64> {
        self.frame[0] = TIMED;
        let started = now();
        self.pass()?;
        let mut read_at = [0; 8];
        read_at.copy_from_slice(&self.answer[..8]);
        Ok(u64::from_le_bytes(read_at).saturating_sub(started.as_nanos()))
    }

    fn pass(&mut self) -> Result<()> {
        write(&self.to, &self.frame)?;
        match read(&self.from, &mut self.answer)? {
            0 => Err("the raw-pipe partner has ended".into()),
            _ => Ok(()),
        }
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.partner.kill(); // it may have ended
        let _ = self.partner.wait();
    }
}

/// The other end.
pub fn partner() -> Result<()> {
    let (mut frame, mut answer) = frames()?;
    let (from, to) = (std::io::stdin(), std::io::stdout());
    while read(&from, &mut frame)? > 0 {
        if frame[0] == TIMED {
            answer[..8].copy_from_slice(&now().as_nanos().to_le_bytes());
        }
        write(&to, &answer)?;
    }
    Ok(())
}
