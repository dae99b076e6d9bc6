//! One instance of a module and the three functions it is used by.

use super::bounds::{Bounded, budget};
use super::halt::Halt;
use super::wasi::Guest;
use midimon_shared::protocol::TrapCause;
use std::time::Instant;
use wasmtime::{Memory, Store, TypedFunc};

/// Growth after `init` at which an instance is replaced: guests of this interface never get back
/// what `alloc` gave, so all of them leak.
pub const LEAK: usize = 4 * 1024 * 1024;

/// An instance whose `init` has run.
pub struct Instance {
    store: Store<Guest>,
    memory: Memory,
    alloc: TypedFunc<u32, u32>,
    execute: TypedFunc<(u32, u32), i32>,
    after_init: usize,
}

impl Instance {
    pub fn new(
        mut store: Store<Guest>,
        memory: Memory,
        alloc: TypedFunc<u32, u32>,
        execute: TypedFunc<(u32, u32), i32>,
    ) -> Self {
        let after_init = store.data_mut().bounds().meter.memory_bytes();
        Self { store, memory, alloc, execute, after_init }
    }

    /// Hands over a request and runs it; the plugin's return code.
    ///
    /// # Errors
    /// The guest did not return, or gave memory it does not have. The instance is then spoilt.
    pub fn call(&mut self, request: &[u8], fuel: u64, deadline: Instant) -> Result<i32, Halt> {
        match self.run(request, fuel, deadline) {
            Ok(result) => result,
            Err(error) => Err(Halt::new(&error, self.store.data_mut().bounds())),
        }
    }

    fn run(&mut self, request: &[u8], fuel: u64, deadline: Instant) -> wasmtime::Result<Result<i32, Halt>> {
        budget(&mut self.store, fuel, deadline)?;
        let Ok(length) = u32::try_from(request.len()) else {
            return Ok(Err(Halt::because(TrapCause::Abi, "the request is larger than its memory")));
        };
        let start = self.alloc.call(&mut self.store, length)?;
        let memory = self.memory.data_mut(&mut self.store);
        let size = memory.len();
        match (start as usize).checked_add(request.len()).and_then(|end| memory.get_mut(start as usize..end)) {
            Some(place) => place.copy_from_slice(request),
            None => {
                let message = format!("its alloc({length}) returned {start}, outside its memory of {size} bytes");
                return Ok(Err(Halt::because(TrapCause::Abi, message)));
            }
        }
        self.execute.call(&mut self.store, (start, length)).map(Ok)
    }

    /// Whether it has grown so far that it should be replaced.
    pub fn has_leaked(&mut self) -> bool {
        self.store.data_mut().bounds().meter.memory_bytes().saturating_sub(self.after_init) > LEAK
    }
}
