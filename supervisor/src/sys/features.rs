//! What the running kernel can do, asked without changing anything.

#![allow(unsafe_code)] // two system calls libc has no wrapper for

use nix::errno::Errno;
use std::ptr::null;

/// Of the kernel's `uapi/linux/landlock.h`.
const LANDLOCK_CREATE_RULESET_VERSION: u32 = 1;

/// Landlock's version (ABI): 1 and up.
///
/// # Errors
/// `ENOSYS` where the kernel does not have it, `EOPNOTSUPP` where it is switched off,
/// anything else where something forbids to ask.
pub fn landlock_abi() -> Result<u32, Errno> {
    // SAFETY: with this flag, and without attributes, landlock_create_ruleset returns its version.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            null::<libc::c_void>(),
            0_usize,
            LANDLOCK_CREATE_RULESET_VERSION,
        )
    };
    Errno::result(version).map(|version| u32::try_from(version).unwrap_or(0))
}

/// Whether a system-call filter may end with each of the actions that ours use.
///
/// # Errors
/// `EOPNOTSUPP` where the kernel lacks one, `ENOSYS` or `EINVAL` where it has no filters.
pub fn seccomp_actions() -> Result<(), Errno> {
    let actions =
        [libc::SECCOMP_RET_KILL_PROCESS, libc::SECCOMP_RET_TRAP, libc::SECCOMP_RET_ERRNO, libc::SECCOMP_RET_ALLOW];
    for action in actions {
        // SAFETY: seccomp reads four bytes at the pointer, which is valid for the call.
        let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) };
        Errno::result(result)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_changes_nothing_and_can_be_repeated() {
        assert_eq!(landlock_abi(), landlock_abi());
        assert_eq!(seccomp_actions(), seccomp_actions());
        assert!(landlock_abi().is_err_and(|error| error != Errno::EFAULT) || landlock_abi().is_ok_and(|abi| abi >= 1));
    }
}
