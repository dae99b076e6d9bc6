//! Bounds on what one store can take: all its memories together, all its tables together, and how
//! many there are.

use midimon_shared::limits::WorkerLimits;
use wasmtime::{Error, ResourceLimiter, Result};

/// Counts what an instance has and refuses what goes over its limits. A refused `memory.grow`
/// returns -1 to the guest; it is remembered, because most guests then trap.
#[derive(Debug)]
pub struct Meter {
    memory_limit: usize,
    table_limit: usize,
    memory_bytes: usize,
    table_elements: usize,
    /// What the last permitted growth added, in case the system then refuses it.
    last_memory: usize,
    last_table: usize,
    refused: Option<String>,
    most: Most,
}

/// How many of each there can be.
#[derive(Clone, Copy, Debug)]
struct Most {
    instances: usize,
    memories: usize,
    tables: usize,
}

impl Most {
    /// A core module is one instance. Each memory reserves 4 GiB of address space, used or not.
    const MODULE: Self = Self { instances: 1, memories: 16, tables: 16 };
    /// A component is several: a Rust guest five, the largest of the languages that were tried about 20. It may
    /// have 64, and the one that compiling it adds.
    const COMPONENT: Self = Self { instances: 64 + 1, memories: 16, tables: 64 };
}

impl Meter {
    /// For a core module, with nothing taken yet.
    pub fn for_module(limits: &WorkerLimits) -> Self {
        Self::new(limits, Most::MODULE)
    }

    /// For a component, with nothing taken yet.
    pub fn for_component(limits: &WorkerLimits) -> Self {
        Self::new(limits, Most::COMPONENT)
    }

    fn new(limits: &WorkerLimits, most: Most) -> Self {
        Self {
            memory_limit: usize::try_from(limits.memory_bytes).unwrap_or(usize::MAX),
            table_limit: limits.table_elements as usize,
            memory_bytes: 0,
            table_elements: 0,
            last_memory: 0,
            last_table: 0,
            refused: None,
            most,
        }
    }

    /// Bytes of all memories together.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// What was refused since the last [`Self::forget_refusals`].
    pub fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// Called before each call.
    pub fn forget_refusals(&mut self) {
        self.refused = None;
    }
}

/// The new total, or what to say when it is over the limit.
fn grow(total: usize, current: usize, desired: usize, limit: usize, what: &str) -> Result<usize, String> {
    let wanted = total.saturating_sub(current).saturating_add(desired);
    if wanted <= limit { Ok(wanted) } else { Err(format!("{wanted} {what} asked for, the limit is {limit}")) }
}

impl ResourceLimiter for Meter {
    fn memory_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        match grow(self.memory_bytes, current, desired, self.memory_limit, "bytes of memory") {
            Ok(total) => {
                self.last_memory = total - self.memory_bytes;
                self.memory_bytes = total;
                Ok(true)
            }
            Err(refusal) => {
                self.refused = Some(refusal);
                Ok(false)
            }
        }
    }

    fn memory_grow_failed(&mut self, error: Error) -> Result<()> {
        self.memory_bytes -= std::mem::take(&mut self.last_memory);
        self.refused = Some(format!("memory could not grow: {}", error.root_cause()));
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _maximum: Option<usize>) -> Result<bool> {
        match grow(self.table_elements, current, desired, self.table_limit, "table elements") {
            Ok(total) => {
                self.last_table = total - self.table_elements;
                self.table_elements = total;
                Ok(true)
            }
            Err(refusal) => {
                self.refused = Some(refusal);
                Ok(false)
            }
        }
    }

    fn table_grow_failed(&mut self, error: Error) -> Result<()> {
        self.table_elements -= std::mem::take(&mut self.last_table);
        self.refused = Some(format!("a table could not grow: {}", error.root_cause()));
        Ok(())
    }

    fn instances(&self) -> usize {
        self.most.instances
    }

    fn memories(&self) -> usize {
        self.most.memories
    }

    fn tables(&self) -> usize {
        self.most.tables
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use midimon_shared::Limits;

    fn meter() -> Meter {
        Meter::for_module(&WorkerLimits::from(&Limits { memory_mib: 1, ..Limits::default() }))
    }

    #[test]
    fn memories_share_one_limit() {
        let mut meter = meter();
        assert!(meter.memory_growing(0, 600_000, None).unwrap());
        assert!(!meter.memory_growing(0, 600_000, None).unwrap());
        assert!(meter.refused().unwrap().contains("1200000 bytes of memory asked for, the limit is 1048576"));
        meter.forget_refusals();
        assert!(meter.memory_growing(600_000, 1_048_576, None).unwrap());
        assert!(!meter.memory_growing(1_048_576, usize::MAX, None).unwrap());
        assert_eq!(meter.memory_bytes(), 1_048_576);
    }

    #[test]
    fn growth_the_system_refuses_is_not_counted() {
        let mut meter = meter();
        assert!(meter.memory_growing(0, 1000, None).unwrap());
        assert!(meter.memory_growing(1000, 5000, None).unwrap());
        meter.memory_grow_failed(Error::msg("no memory")).unwrap();
        assert_eq!(meter.memory_bytes(), 1000);
        assert!(meter.refused().is_some());
    }

    #[test]
    fn tables_share_one_limit_of_their_own() {
        let mut meter = meter();
        assert!(meter.table_growing(0, 10_000, None).unwrap());
        assert!(!meter.table_growing(0, 1, None).unwrap());
        assert!(meter.memory_growing(0, 1, None).unwrap());
    }
}
