//! Calls that the filters refuse, made to see that they do. Each is harmless where it is not refused, and then
//! fails in another way, so that nothing here depends on luck.

use super::policy::{Filter, SECOND};
use crate::sandbox::violation;
use nix::errno::Errno;

const NULL: usize = 0;
const NO_DESCRIPTOR: i32 = -1;

/// The first filter.
///
/// # Errors
/// What was not refused.
pub fn first(filter: Filter) -> Result<(), String> {
    // SAFETY: null paths, which the kernel would answer with EFAULT.
    let linked = unsafe { libc::syscall(libc::SYS_symlinkat, NULL, NO_DESCRIPTOR, NULL) };
    refused("symlinkat", linked, Errno::EPERM)?;
    // SAFETY: a size of 0 for the set of signals, which the kernel would answer with EINVAL.
    let replaced = unsafe { libc::syscall(libc::SYS_rt_sigaction, libc::SIGSYS, &raw const filter, NULL, 0) };
    refused("a handler in place of the one for violations", replaced, Errno::EPERM)?;
    if filter.opens_nothing() {
        opening()?;
    }
    if filter == Filter::NativeData {
        // SAFETY: no file and a length of 0, of which the kernel finds the first one wrong, and the handler's copy the
        // second one.
        let mapped =
            unsafe { libc::syscall(libc::SYS_mmap, NULL, 0, libc::PROT_READ, libc::MAP_PRIVATE, NO_DESCRIPTOR, 0) };
        refused("mapping a file", mapped, Errno::EINVAL)?;
    }
    if filter.second().is_some() {
        // SAFETY: a null program, which the kernel would answer with EFAULT.
        let installed = unsafe {
            let (mode, flags) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_TSYNC);
            libc::syscall(libc::SYS_seccomp, mode, flags, NULL)
        };
        refused("another filter than the second one", installed, Errno::EPERM)?;
        // SAFETY: a length of 0, with which the kernel would do nothing and report no error.
        let opened = unsafe { libc::syscall(libc::SYS_mprotect, SECOND, 0, libc::PROT_READ) };
        refused("writing to the second filter", opened, Errno::EPERM)?;
    }
    let (call, query) = (libc::SYS_personality, 0xFFFF_FFFF_u32);
    violation::expect(call, || {
        // SAFETY: asks for the personality and changes nothing.
        unsafe { libc::syscall(call, query) }
    })
}

/// The second filter.
///
/// # Errors
/// What was not refused.
pub fn second(filter: Filter) -> Result<(), String> {
    // SAFETY: a length of 0, which the kernel would answer with EINVAL.
    let mapped = unsafe {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        libc::syscall(libc::SYS_mmap, NULL, 0, protection, flags, NO_DESCRIPTOR, 0)
    };
    refused("executable memory", mapped, Errno::EPERM)?;
    // SAFETY: the second filter once more, which would change nothing.
    let installed = unsafe {
        let (mode, flags) = (libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_FILTER_FLAG_TSYNC);
        libc::syscall(libc::SYS_seccomp, mode, flags, SECOND)
    };
    refused("another filter", installed, Errno::EPERM)?;
    if filter.opens_nothing() { opening() } else { Ok(()) }
}

fn opening() -> Result<(), String> {
    // SAFETY: a null path, which the kernel would answer with EFAULT.
    let opened = unsafe { libc::syscall(libc::SYS_openat, NO_DESCRIPTOR, NULL, libc::O_RDONLY | libc::O_CLOEXEC, 0) };
    refused("opening a file", opened, Errno::EACCES)
}

fn refused(what: &str, result: i64, expected: Errno) -> Result<(), String> {
    match (result, Errno::last()) {
        (-1, errno) if errno == expected => Ok(()),
        (-1, errno) => Err(format!("{what} is not refused: {errno} instead of {expected}")),
        _ => Err(format!("{what} is not refused")),
    }
}
