//! Exactly the descriptors that belong to the program, each of its kind.

use crate::stop::Stop;
use midimon_shared::WorkerExit;
use midimon_shared::protocol::{COMMAND_FD, EVENT_FD, REQUEST_FD};
use midimon_shared::sandbox::{Layer, LayerReport};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{SockType, getsockopt, sockopt};
use nix::sys::stat::{SFlag, fstat};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// A worker's ends of its channel.
#[derive(Debug)]
pub struct Descriptors {
    /// Commands come here.
    pub commands: OwnedFd,
    /// Events go here.
    pub events: OwnedFd,
    /// Descriptors come here.
    pub requests: OwnedFd,
}

/// Closes everything above 5, checks 0 to 5, and takes over 3 to 5. Call once, where the environment is empty.
///
/// # Errors
/// One is missing or of the wrong kind.
pub fn six() -> Result<(Descriptors, LayerReport), Stop> {
    close_from(REQUEST_FD + 1)?;
    standard()?;
    let commands = take(COMMAND_FD)?;
    expect(&commands, COMMAND_FD, &[SFlag::S_IFIFO])?;
    let events = take(EVENT_FD)?;
    expect(&events, EVENT_FD, &[SFlag::S_IFIFO])?;
    let requests = take(REQUEST_FD)?;
    expect(&requests, REQUEST_FD, &[SFlag::S_IFSOCK])?;
    if getsockopt(&requests, sockopt::SockType) != Ok(SockType::SeqPacket) {
        return Err(Stop::new(WorkerExit::Descriptors, "5 is not a SEQPACKET socket"));
    }
    let report = LayerReport::active(Layer::Descriptors, "0 to 5, no environment, in /");
    Ok((Descriptors { commands, events, requests }, report))
}

/// A compile job's descriptors: closes everything above 4, takes the module on 3 and the artifact's way out on 4.
/// Call once.
///
/// # Errors
/// One is missing or of the wrong kind.
pub fn five() -> Result<(OwnedFd, OwnedFd), Stop> {
    close_from(EVENT_FD + 1)?;
    standard()?;
    let module = take(COMMAND_FD)?;
    expect(&module, COMMAND_FD, &[SFlag::S_IFREG])?;
    let artifact = take(EVENT_FD)?;
    expect(&artifact, EVENT_FD, &[SFlag::S_IFIFO, SFlag::S_IFREG])?;
    Ok((module, artifact))
}

/// 0 must not be a terminal or a file of the user's, 1 and 2 must be a pipe.
fn standard() -> Result<(), Stop> {
    expect(std::io::stdin(), 0, &[SFlag::S_IFCHR])?;
    expect(std::io::stdout(), 1, &[SFlag::S_IFIFO])?;
    expect(std::io::stderr(), 2, &[SFlag::S_IFIFO])
}

fn close_from(first: RawFd) -> Result<(), Stop> {
    // SAFETY: nothing in this process owns a descriptor from `first` on: no code has run before that opens any.
    match unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) } {
        0 => Ok(()),
        _ => Err(Stop::during(WorkerExit::Descriptors, "close_range")(std::io::Error::last_os_error())),
    }
}

fn take(number: RawFd) -> Result<OwnedFd, Stop> {
    // SAFETY: the borrow lasts for this one call, which fails when the descriptor is not open.
    let open = fcntl(unsafe { BorrowedFd::borrow_raw(number) }, FcntlArg::F_GETFD);
    open.map_err(|_| Stop::new(WorkerExit::Descriptors, format!("{number} is missing")))?;
    // SAFETY: it is open, was handed to this process for this purpose, and is taken once.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// The kind must be right, and reads and writes must wait.
fn expect(fd: impl AsFd, number: RawFd, kinds: &[SFlag]) -> Result<(), Stop> {
    let failed = |what: &str| Stop::new(WorkerExit::Descriptors, format!("{number} {what}"));
    let status = fstat(&fd).map_err(|_| failed("is missing"))?;
    if !kinds.contains(&(SFlag::from_bits_truncate(status.st_mode) & SFlag::S_IFMT)) {
        return Err(failed("is of the wrong kind"));
    }
    let flags = fcntl(&fd, FcntlArg::F_GETFL).map(OFlag::from_bits_truncate).map_err(|_| failed("has no flags"))?;
    if flags.contains(OFlag::O_NONBLOCK) {
        let blocking = flags.difference(OFlag::O_NONBLOCK);
        fcntl(&fd, FcntlArg::F_SETFL(blocking)).map_err(|_| failed("cannot be made blocking"))?;
    }
    Ok(())
}
