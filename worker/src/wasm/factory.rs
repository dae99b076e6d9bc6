//! Making instances: the first one, and fresh ones after a trap, a leak, or for each call.

use super::bounds::{Bounded, Bounds, budget, store};
use super::deadline::Ticker;
use super::halt::Halt;
use super::instance::Instance;
use super::meter::Meter;
use super::wasi::Guest;
use midimon_shared::limits::WorkerLimits;
use std::time::Instant;
use wasmtime::{Engine, InstancePre, Memory, Store};

/// Everything instances of one module have in common.
pub struct Factory {
    pub engine: Engine,
    pub ticker: Ticker,
    pub limits: WorkerLimits,
    pub data_dir: Option<String>,
    pub module: InstancePre<Guest>,
}

/// What `init` returned: where its metadata lies.
#[derive(Clone, Copy, Debug)]
pub struct Packed(pub u64);

impl Packed {
    /// Copies the text out of the memory, if it lies inside it and is at most `max` bytes long.
    pub fn read(self, memory: &[u8], max: usize) -> Result<Vec<u8>, String> {
        let (start, length) = ((self.0 >> 32) as usize, (self.0 & 0xFFFF_FFFF) as usize);
        let place = start.checked_add(length).and_then(|end| memory.get(start..end));
        let bytes = place.ok_or_else(|| format!("{length} bytes at {start} of {}", memory.len()))?;
        if length > max {
            return Err(format!("{length} bytes, at most {max} are read"));
        }
        Ok(bytes.to_vec())
    }
}

impl Factory {
    /// A new instance, its start function, `_initialize` and `init` run. `look` sees what `init`
    /// returned and the memory it points into.
    ///
    /// The caller holds the ticker's guard.
    ///
    /// # Errors
    /// A step did not return or met a limit.
    pub fn make<T>(&self, deadline: Instant, look: impl FnOnce(Packed, &[u8]) -> T) -> Result<(Instance, T), Halt> {
        let bounds = Bounds { meter: Meter::for_module(&self.limits), deadline };
        let guest = Guest::new(self.data_dir.as_deref(), bounds).map_err(|error| Halt::no_data_dir(&error))?;
        let mut store = store(&self.engine, guest);
        match self.start(&mut store, deadline) {
            Ok((parts, packed)) => {
                let looked = look(packed, parts.memory.data(&store));
                Ok((Instance::new(store, parts.memory, parts.alloc, parts.execute), looked))
            }
            Err(error) => Err(Halt::new(&error, store.data_mut().bounds())),
        }
    }

    fn start(&self, store: &mut Store<Guest>, deadline: Instant) -> wasmtime::Result<(Parts, Packed)> {
        budget(store, self.limits.fuel, deadline)?;
        let instance = self.module.instantiate(&mut *store)?;
        if let Some(initialize) = instance.get_func(&mut *store, "_initialize") {
            initialize.typed::<(), ()>(&*store)?.call(&mut *store, ())?;
        }
        let parts = Parts {
            memory: instance.get_memory(&mut *store, "memory").ok_or_else(|| wasmtime::Error::msg("no memory"))?,
            alloc: instance.get_typed_func(&mut *store, "alloc")?,
            execute: instance.get_typed_func(&mut *store, "execute")?,
        };
        let init = instance.get_typed_func::<(), u64>(&mut *store, "init")?;
        let packed = init.call(&mut *store, ())?;
        Ok((parts, Packed(packed)))
    }
}

struct Parts {
    memory: Memory,
    alloc: wasmtime::TypedFunc<u32, u32>,
    execute: wasmtime::TypedFunc<(u32, u32), i32>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn metadata_is_copied_only_from_inside_the_memory() {
        let memory = b"0123456789";
        let read = |start: u64, length: u64| Packed(start << 32 | length).read(memory, 5);
        assert_eq!(read(2, 3).unwrap(), b"234");
        assert_eq!(read(10, 0).unwrap(), b"");
        assert!(read(6, 5).unwrap_err().contains("5 bytes at 6 of 10"));
        assert!(read(0, 0xFFFF_FFFF).is_err());
        assert!(read(0xFFFF_FFFF, 0xFFFF_FFFF).is_err());
        assert!(read(0, 6).unwrap_err().contains("at most 5"));
    }

    proptest! {
        #[test]
        fn whatever_init_returns_it_is_a_place_in_the_memory_or_refused(
            packed: u64, start in 0_u64..40, length in 0_u64..40, memory in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            for packed in [packed, start << 32 | length] {
                let (start, end) = ((packed >> 32) as usize, (packed >> 32) as usize + (packed & 0xFFFF_FFFF) as usize);
                let expected = memory.get(start..end).filter(|bytes| bytes.len() <= 20).map(<[u8]>::to_vec);
                prop_assert_eq!(Packed(packed).read(&memory, 20).ok(), expected);
            }
        }
    }
}
