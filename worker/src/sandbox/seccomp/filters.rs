//! The filters for this processor, as `build.rs` made them.

use super::policy::Filter;
use libc::sock_filter;

struct Program {
    /// How many instructions compare with the process's own id.
    own_pids: usize,
    /// Operation, jumps when true and when false, operand.
    code: &'static [[u32; 4]],
}

include!(concat!(env!("OUT_DIR"), "/filters.rs"));

/// A filter for the process with this id. `None` when the program is not what `build.rs` says it is.
#[must_use]
pub fn program(filter: Filter, own_pid: u32) -> Option<Vec<sock_filter>> {
    let Program { own_pids, code } = match filter {
        Filter::Native => &NATIVE,
        Filter::Wasm => &WASM,
        Filter::NativeData => &NATIVE_DATA,
        Filter::WasmData => &WASM_DATA,
        Filter::Lockdown => &LOCKDOWN,
        Filter::LockdownData => &LOCKDOWN_DATA,
        Filter::Compile => &COMPILE,
    };
    let mut patched = 0;
    let instruction = |[operation, jt, jf, k]: [u32; 4]| {
        let k = if k == OWN_PID {
            patched += 1;
            own_pid
        } else {
            k
        };
        Some(sock_filter { code: operation.try_into().ok()?, jt: jt.try_into().ok()?, jf: jf.try_into().ok()?, k })
    };
    let program: Option<Vec<_>> = code.iter().copied().map(instruction).collect();
    program.filter(|_| patched == *own_pids)
}
