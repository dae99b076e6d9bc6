//! Programs that wait for a delay to pass.

use crate::clock::Time;
use crate::mapping::types::MappingIndex;
use midimon_shared::context::TriggerStamp;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Which of a mapping's programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Press,
    Release,
}

/// Where a program stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    pub mapping: MappingIndex,
    pub phase: Phase,
    /// The next step, counted from the program's first.
    pub next: u32,
}

/// A program to go on with at `due`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub due: Time,
    /// Keeps programs due at the same time in the order they began to wait.
    sequence: u64,
    pub cursor: Cursor,
    pub stamp: TriggerStamp,
}

impl PartialEq for Waiting {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Waiting {}

impl PartialOrd for Waiting {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Waiting {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.due, self.sequence).cmp(&(other.due, other.sequence))
    }
}

/// Every program that waits, the first one due on top.
#[derive(Debug)]
pub(super) struct Delays {
    heap: BinaryHeap<Reverse<Waiting>>,
    sequence: u64,
}

impl Delays {
    /// Programs that can wait at the same time; room for all of them is there from the start.
    pub const CAPACITY: usize = 1024;

    pub fn new() -> Self {
        Self { heap: BinaryHeap::with_capacity(Self::CAPACITY), sequence: 0 }
    }

    pub fn is_full(&self) -> bool {
        self.heap.len() >= Self::CAPACITY
    }

    /// The caller has asked [`Self::is_full`] before the program's first step.
    pub fn push(&mut self, due: Time, cursor: Cursor, stamp: TriggerStamp) {
        self.sequence += 1;
        self.heap.push(Reverse(Waiting { due, sequence: self.sequence, cursor, stamp }));
    }

    pub fn next_due(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse(waiting)| waiting.due)
    }

    pub fn pop(&mut self) -> Option<Waiting> {
        self.heap.pop().map(|Reverse(waiting)| waiting)
    }

    pub fn pop_due(&mut self, now: Time) -> Option<Waiting> {
        if self.next_due()? <= now { self.pop() } else { None }
    }

    /// Takes everything out, the first one due first.
    pub fn drain(&mut self) -> Vec<Waiting> {
        std::iter::from_fn(|| self.pop()).collect()
    }

    /// Puts back what [`Self::drain`] took out, possibly changed.
    pub fn put_back(&mut self, waiting: Waiting) {
        self.heap.push(Reverse(waiting));
    }
}
