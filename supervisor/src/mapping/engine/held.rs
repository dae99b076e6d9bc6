//! Which mapping took which press.

use crate::mapping::types::{DeviceIndex, MappingIndex, SourceIndex};
use midimon_shared::{Channel, U7};

/// A key or pad that is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pad {
    pub source: SourceIndex,
    pub channel: Channel,
    pub note: U7,
}

/// A press and its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Press {
    pub pad: Pad,
    pub device: DeviceIndex,
    pub mapping: MappingIndex,
}

/// Every press whose release has not come, oldest first. A pad is in it once at most.
#[derive(Debug)]
pub(super) struct Held(Vec<Press>);

impl Held {
    /// More than two hands hold, so that pressing never allocates.
    const ROOM: usize = 256;

    pub fn new() -> Self {
        Self(Vec::with_capacity(Self::ROOM))
    }

    /// The caller has taken an earlier press of the same pad out before.
    pub fn insert(&mut self, press: Press) {
        self.0.push(press);
    }

    /// Takes a pad's press out.
    pub fn take(&mut self, pad: Pad) -> Option<Press> {
        self.take_first(|press| press.pad == pad)
    }

    /// Takes the oldest press that matches out.
    pub fn take_first(&mut self, matches: impl Fn(&Press) -> bool) -> Option<Press> {
        let at = self.0.iter().position(matches)?;
        Some(self.0.remove(at))
    }

    /// Changes each press, or takes those out for which `change` says `false`.
    pub fn retain(&mut self, change: impl FnMut(&mut Press) -> bool) {
        self.0.retain_mut(change);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}
