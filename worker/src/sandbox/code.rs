//! The plugin's code: one sealed memfd, so that what was checked is what runs.

use super::passed;
use crate::stop::Stop;
use midimon_shared::WorkerExit;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use std::fs::File;
use std::os::fd::OwnedFd;

/// Takes one message with one descriptor from the request socket; `None` when it is closed.
///
/// # Errors
/// No descriptor, more than one, or not a sealed memfd.
pub fn receive(socket: &OwnedFd) -> Result<Option<File>, Stop> {
    let mut byte = [0u8; 1];
    let received = passed::receive(socket, &mut byte).map_err(Stop::during(WorkerExit::Code, "recvmsg"))?;
    if received.bytes == 0 {
        return Ok(None);
    }
    let [code]: [OwnedFd; 1] = received.descriptors.try_into().map_err(|all: Vec<_>| {
        Stop::new(WorkerExit::Code, format!("{} descriptors came with Load, not one", all.len()))
    })?;
    sealed(code).map(Some)
}

/// The file, if nobody can change it any more.
///
/// # Errors
/// It is no memfd, or not sealed against writing, growing, shrinking and unsealing.
pub fn sealed(code: OwnedFd) -> Result<File, Stop> {
    let all = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_SEAL;
    match fcntl(&code, FcntlArg::F_GET_SEALS) {
        Ok(seals) if SealFlag::from_bits_truncate(seals).contains(all) => Ok(File::from(code)),
        Ok(_) => Err(Stop::new(WorkerExit::Code, "the memfd is not sealed")),
        Err(_) => Err(Stop::new(WorkerExit::Code, "it is not a memfd")),
    }
}
