//! What bounds everything a store runs: the memory it can take, its fuel, and when it must have ended.

use super::deadline::DeadlinePassed;
use super::meter::Meter;
use std::time::Instant;
use wasmtime::{Result, Store, UpdateDeadline};

/// The bounds of one store.
#[derive(Debug)]
pub struct Bounds {
    /// What its instances have taken.
    pub meter: Meter,
    /// When the call under way must end.
    pub deadline: Instant,
}

/// What a store belongs to; it keeps the bounds.
pub trait Bounded: 'static {
    /// The bounds of this store.
    fn bounds(&mut self) -> &mut Bounds;
}

/// Room for what `guest` is, under its bounds from now on.
pub fn store<T: Bounded>(engine: &wasmtime::Engine, guest: T) -> Store<T> {
    let mut store = Store::new(engine, guest);
    store.limiter(|guest| &mut guest.bounds().meter);
    store.epoch_deadline_callback(|mut guest| {
        if Instant::now() < guest.data_mut().bounds().deadline {
            Ok(UpdateDeadline::Continue(1))
        } else {
            Err(DeadlinePassed.into())
        }
    });
    store
}

/// Gives a store its budget for what it does next.
///
/// # Errors
/// Never: the engine counts fuel.
pub fn budget<T: Bounded>(store: &mut Store<T>, fuel: u64, deadline: Instant) -> Result<()> {
    let bounds = store.data_mut().bounds();
    bounds.deadline = deadline;
    bounds.meter.forget_refusals();
    store.set_epoch_deadline(1);
    store.set_fuel(if fuel == 0 { u64::MAX } else { fuel })
}
