//! The handler of SIGSYS: it names a forbidden system call to the supervisor, and ends the process.
//!
//! Everything here may run at any moment, in any thread of the plugin's: no allocation, no lock, nothing but
//! system calls and memory set up before. A plugin can spoil that memory, or this very code: then its death goes
//! without a name, or its refused calls fail unreported, without a death. They stay refused; that is the filter's.
//!
//! Two calls that filters cannot judge by their numbers trap as well, and are answered here by harmless ones.

use crate::stop::Stop;
use midimon_shared::codec;
use midimon_shared::protocol::EVENT_FD;
use midimon_shared::spawn::Violations;
use midimon_shared::{Event, WorkerExit};
use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering};

/// `si_code` of a SIGSYS that a filter sent.
const SYS_SECCOMP: c_int = 1;

/// Enough for the handler below the registers of any processor.
const STACK: usize = 64 * 1024;

#[repr(align(4096))]
struct Stack(UnsafeCell<[u8; STACK]>);
// SAFETY: only the kernel writes to it, for one thread at a time.
unsafe impl Sync for Stack {}
static ALTERNATE: Stack = Stack(UnsafeCell::new([0; STACK]));

/// What a violation does: a [`Mode`].
static MODE: AtomicU8 = AtomicU8::new(Mode::End as u8);
/// The last violation while [`expect`] waits for one.
static SEEN: AtomicI64 = AtomicI64::new(-1);
/// A bit for each number reported, in [`Mode::Report`]; all beyond share the last one.
static REPORTED: [AtomicU64; 16] = [const { AtomicU64::new(0) }; 16];
static FRAME: OnceLock<Frame> = OnceLock::new();

#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Mode {
    End,
    Report,
    /// A self-test's own call.
    Expect,
}

/// A `Denied` event, but for the number.
struct Frame {
    bytes: [u8; Self::MAX],
    length: usize,
    number: usize,
}

impl Frame {
    const MAX: usize = 32;

    fn new() -> Option<Self> {
        let (mut zeroes, mut ones) = (Vec::new(), Vec::new());
        codec::encode(&Event::Denied { number: 0 }, &mut zeroes).ok()?;
        codec::encode(&Event::Denied { number: u32::MAX }, &mut ones).ok()?;
        // the number is where they differ
        let number = zeroes.iter().zip(&ones).position(|(zero, one)| zero != one)?;
        let mut bytes = [0; Self::MAX];
        bytes.get_mut(..zeroes.len())?.copy_from_slice(&zeroes);
        (ones.get(number..)? == [0xFF; 4]).then_some(Self { bytes, length: zeroes.len(), number })
    }

    fn send(&self, number: u32) {
        let mut bytes = self.bytes;
        if let Some(place) = bytes.get_mut(self.number..self.number + 4) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        // SAFETY: as many bytes as the frame has lie there; less than PIPE_BUF, so all or none are written.
        unsafe { libc::write(EVENT_FD, bytes.as_ptr().cast(), self.length.min(Self::MAX)) };
    }
}

/// Installs the handler, on a stack of its own. Call once, before the filter that makes it permanent.
///
/// # Errors
/// The kernel refuses.
pub fn install(violations: Violations) -> Result<(), Stop> {
    let failed = |error: std::io::Error| Stop::new(WorkerExit::ViolationHandler, error);
    let frame = Frame::new().ok_or_else(|| Stop::new(WorkerExit::ViolationHandler, "its message has no fixed form"))?;
    let _ = FRAME.set(frame); // a second call finds the same
    MODE.store(mode(violations) as u8, Ordering::Relaxed);
    let stack = libc::stack_t { ss_sp: ALTERNATE.0.get().cast(), ss_flags: 0, ss_size: STACK };
    // SAFETY: the stack lives as long as the process and belongs to this thread alone.
    if unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) } != 0 {
        return Err(failed(std::io::Error::last_os_error()));
    }
    // SAFETY: all zeroes is a valid sigaction.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handle as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the set is valid; nothing interrupts the handler.
    unsafe { libc::sigfillset(&raw mut action.sa_mask) };
    // SAFETY: the handler has the type that SA_SIGINFO asks for and calls what is async-signal-safe.
    if unsafe { libc::sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut()) } != 0 {
        return Err(failed(std::io::Error::last_os_error()));
    }
    Ok(())
}

const fn mode(violations: Violations) -> Mode {
    match violations {
        Violations::End => Mode::End,
        Violations::Report => Mode::Report,
    }
}

/// Makes a call that must be a violation, which then counts for nothing.
///
/// # Errors
/// The handler did not see it.
pub fn expect(number: i64, call: impl FnOnce() -> i64) -> Result<(), String> {
    let mode = MODE.swap(Mode::Expect as u8, Ordering::Relaxed);
    SEEN.store(-1, Ordering::Relaxed);
    let result = call();
    MODE.store(mode, Ordering::Relaxed);
    match (SEEN.load(Ordering::Relaxed), result) {
        (seen, -1) if seen == number => Ok(()),
        (seen, result) => Err(format!("call {number} returned {result}, the handler saw {seen}")),
    }
}

/// The start of `siginfo_t` for SIGSYS (its union holds pointers, so it starts at 16).
#[repr(C)]
struct Info {
    signal: c_int,
    errno: c_int,
    code: c_int,
    padding: c_int,
    address: *const c_void,
    call: c_int,
    arch: u32,
}

extern "C" fn handle(_signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel gives a valid siginfo and context; for SIGSYS the layout is this one.
    let (info, registers) = unsafe { (&*info.cast::<Info>(), Registers::of(context)) };
    if info.code != SYS_SECCOMP {
        end();
    }
    let number = info.call.cast_unsigned();
    let arguments = registers.arguments();
    let answered = match i64::from(number) {
        libc::SYS_newfstatat => Some(keeping_errno(|| fstat(arguments))),
        libc::SYS_mmap => Some(keeping_errno(|| copy(arguments))),
        _ => None,
    };
    if let Some(result) = answered {
        registers.give(result);
        return;
    }
    match MODE.load(Ordering::Relaxed) {
        mode if mode == Mode::Expect as u8 => SEEN.store(number.into(), Ordering::Relaxed),
        mode if mode == Mode::Report as u8 => keeping_errno(|| report_once(number)),
        _ => {
            report(number);
            end();
        }
    }
    registers.give(-i64::from(libc::EPERM));
}

fn report(number: u32) {
    if let Some(frame) = FRAME.get() {
        frame.send(number);
    }
}

fn report_once(number: u32) {
    let bit = (number as usize).min(REPORTED.len() * 64 - 1);
    let before = REPORTED[bit / 64].fetch_or(1 << (bit % 64), Ordering::Relaxed);
    if before & 1 << (bit % 64) == 0 {
        report(number);
    }
}

/// Death by SIGSYS: it is blocked in here, and one that a filter sends while it is blocked kills.
fn end() -> ! {
    // SAFETY: asks for the personality, which the filter refuses, and which would change nothing.
    unsafe { libc::syscall(libc::SYS_personality, 0xFFFF_FFFF_u32) };
    // SAFETY: takes a number and does not return.
    unsafe { libc::_exit(WorkerExit::ViolationHandler as c_int) }
}

/// The code that made the call has its errno from somewhere else.
fn keeping_errno<T>(run: impl FnOnce() -> T) -> T {
    // SAFETY: points to this thread's errno.
    let errno = unsafe { *libc::__errno_location() };
    let result = run();
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
    result
}

/// A call's result as the kernel gives it.
fn raw(result: i64) -> i64 {
    match result {
        // SAFETY: points to this thread's errno.
        -1 => -i64::from(unsafe { *libc::__errno_location() }),
        result => result,
    }
}

/// `newfstatat` of a descriptor alone, which is how the C libraries of 2020 to 2023 spell fstat.
fn fstat([descriptor, path, place, ..]: [u64; 6]) -> i64 {
    // SAFETY: the caller's path; where it is none, the caller crashes itself. Null was allowed later, for the same.
    if path != 0 && unsafe { *(path as *const u8) } != 0 {
        return -i64::from(libc::EACCES);
    }
    // SAFETY: the kernel checks both arguments.
    raw(unsafe { libc::syscall(libc::SYS_fstat, descriptor, place) })
}

/// `mmap` of a file, by a copy: for workers with a data directory, and also what the loader gets.
fn copy([address, length, protection, flags, descriptor, offset]: [u64; 6]) -> i64 {
    let writable = libc::PROT_READ | libc::PROT_WRITE;
    let flags = flags as i32 & (libc::MAP_FIXED | libc::MAP_FIXED_NOREPLACE | libc::MAP_NORESERVE);
    let flags = flags | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: what the caller asked for, but for the file.
    let start = raw(unsafe { libc::syscall(libc::SYS_mmap, address, length, writable, flags, -1, 0) });
    if (-4095..0).contains(&start) {
        return start;
    }
    let mut done = 0;
    let result = loop {
        let (place, rest) = (start.cast_unsigned() + done, length - done);
        let from = offset.wrapping_add(done);
        // SAFETY: the rest of the new memory, into which the kernel writes what it can.
        match raw(unsafe { libc::syscall(libc::SYS_pread64, descriptor, place, rest, from) }) {
            // SAFETY: the new memory.
            0 => break raw(unsafe { libc::syscall(libc::SYS_mprotect, start, length, protection) }),
            read if read > 0 => done += read.cast_unsigned(),
            error => break error,
        }
    };
    if result == 0 {
        return start;
    }
    // SAFETY: the new memory, which the caller does not know.
    unsafe { libc::syscall(libc::SYS_munmap, start, length) };
    result
}

/// The registers of the code that made the call.
struct Registers<'a>(&'a mut libc::mcontext_t);

impl Registers<'_> {
    /// # Safety
    /// The context is a signal handler's third argument.
    unsafe fn of<'a>(context: *mut c_void) -> Registers<'a> {
        // SAFETY: as the caller promises.
        Registers(unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext })
    }

    #[cfg(target_arch = "x86_64")]
    fn arguments(&self) -> [u64; 6] {
        [libc::REG_RDI, libc::REG_RSI, libc::REG_RDX, libc::REG_R10, libc::REG_R8, libc::REG_R9]
            .map(|register| self.0.gregs[register as usize].cast_unsigned())
    }

    #[cfg(target_arch = "aarch64")]
    fn arguments(&self) -> [u64; 6] {
        [0, 1, 2, 3, 4, 5].map(|register| self.0.regs[register])
    }

    /// Sets what the call returns.
    #[cfg(target_arch = "x86_64")]
    fn give(self, result: i64) {
        self.0.gregs[libc::REG_RAX as usize] = result;
    }

    /// Sets what the call returns.
    #[cfg(target_arch = "aarch64")]
    fn give(self, result: i64) {
        self.0.regs[0] = result.cast_unsigned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use midimon_shared::codec::{PREFIX, decode};

    #[test]
    fn the_prepared_frame_is_a_denied_event_with_the_number() {
        let frame = Frame::new().unwrap();
        let mut bytes = frame.bytes;
        bytes[frame.number..frame.number + 4].copy_from_slice(&0x0102_0304_u32.to_le_bytes());
        let event: Event = decode(&bytes[PREFIX..frame.length]).unwrap();
        assert_eq!(event, Event::Denied { number: 0x0102_0304 });
    }
}
