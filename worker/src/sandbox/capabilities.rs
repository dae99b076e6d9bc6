//! Root without root's powers. The uid stays: another one could not reach the data directory.

use crate::stop::Stop;
use midimon_shared::WorkerExit;
use midimon_shared::sandbox::{Layer, LayerReport};
use nix::errno::Errno;
use nix::unistd::geteuid;

const VERSION_3: u32 = 0x2008_0522;

/// `struct __user_cap_header_struct` of linux/capability.h.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`; version 3 takes two.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Empties every capability set; as root also the bounding set, and locks the securebits.
///
/// # Errors
/// The kernel refuses.
pub fn drop_all() -> Result<LayerReport, Stop> {
    let failed = |what| move |error: Errno| Stop::new(WorkerExit::Capabilities, format!("{what}: {error}"));
    let mut detail = "permitted, effective, inheritable and ambient sets are empty";
    if geteuid().is_root() {
        for capability in 0.. {
            match prctl(libc::PR_CAPBSET_DROP, capability) {
                Ok(()) => {}
                Err(Errno::EINVAL) => break, // past the last one this kernel knows
                Err(error) => return Err(failed("bounding set")(error)),
            }
        }
        let bits = libc::SECBIT_NOROOT
            | libc::SECBIT_NOROOT_LOCKED
            | libc::SECBIT_NO_SETUID_FIXUP
            | libc::SECBIT_NO_SETUID_FIXUP_LOCKED
            | libc::SECBIT_KEEP_CAPS_LOCKED
            | libc::SECBIT_NO_CAP_AMBIENT_RAISE
            | libc::SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
        prctl(libc::PR_SET_SECUREBITS, u64::from(bits.cast_unsigned())).map_err(failed("securebits"))?;
        detail = "all sets are empty, the bounding set too; root means nothing on exec";
    }
    prctl(libc::PR_CAP_AMBIENT, u64::from(libc::PR_CAP_AMBIENT_CLEAR_ALL.cast_unsigned()))
        .map_err(failed("ambient set"))?;
    let header = Header { version: VERSION_3, pid: 0 };
    let none = [Data::default(); 2];
    // SAFETY: both structs are as the kernel defines them for version 3 and outlive the call.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) };
    Errno::result(result).map_err(failed("capset"))?;
    Ok(LayerReport::active(Layer::Capabilities, detail))
}

fn prctl(option: i32, value: u64) -> Result<(), Errno> {
    // SAFETY: the options used here take a number and no pointer.
    Errno::result(unsafe { libc::prctl(option, value, 0u64, 0u64, 0u64) }).map(drop)
}
