//! What a worker can ask of the kernel: data, and what the data means.
//!
//! No dependencies and no code of the worker: `build.rs` includes this folder and turns the tables
//! into filters ([`super::filters`]); tests read the same tables and ask the kernel.
//!
//! A call that no table names traps ([`Answer::Trap`]). What honest programs do by accident is
//! named, with an errno they can live with.

mod common;
mod files;
mod memory;
mod sockets;

/// Processors for which filters are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Arch {
    X86_64,
    Aarch64,
}

/// What a system call meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The kernel does it.
    Allow,
    /// The kernel does not do it and returns this errno.
    Errno(u16),
    /// SIGSYS: a violation, or a call that the handler answers ([`super::super::violation`]).
    Trap,
}

/// What an argument must be. Comparisons are unsigned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// This number.
    Is(u64),
    /// At most this number.
    AtMost(u64),
    /// These bits, of those in the mask (the first number).
    Masked(u64, u64),
    /// The process's own id, which is written into the filter when it is installed.
    OwnPid,
}

/// How much of an argument the kernel looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// An `int`: its lower half.
    Int,
    /// All 64 bits: pointers, lengths, and flags the kernel takes as `unsigned long`.
    Long,
}

/// One argument and what it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Which, from 0.
    pub argument: u8,
    /// How much of it.
    pub width: Width,
    /// What it must be.
    pub test: Test,
}

/// An answer for calls that meet all of some conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arm {
    /// All of them; never empty.
    pub when: &'static [Condition],
    /// The answer then.
    pub then: Answer,
}

/// What some system calls meet: the first arm that fits, else the answer for the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Names, as in the kernel's tables.
    pub calls: &'static [&'static str],
    /// In this order.
    pub arms: &'static [Arm],
    /// The answer for what no arm fits.
    pub otherwise: Answer,
}

/// Rules, for one processor or for all.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// `None` for all.
    pub arch: Option<Arch>,
    /// No call twice.
    pub rules: &'static [Rule],
}

/// Where the program of a worker's second filter lies, from its start on and for good: the first filter lets the
/// kernel take no other one. Above what kernels let nobody map (`vm.mmap_min_addr`, 64 KiB), below everything else.
pub const SECOND: u64 = 0x10_0000;

/// The end of the addresses from which no call changes anything. A power of two.
pub const SECOND_END: u64 = 0x20_0000;

/// The filters there are. A worker enters one of the first four before it says `Hello`, and one of the
/// next two, on top of it, once its plugin is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// A native worker without a data directory: the loader can open libraries.
    Native,
    /// A WASM worker without a data directory: the runtime can open the plugin's code.
    Wasm,
    /// A native worker with a data directory: it gets copies of the files it maps.
    NativeData,
    /// A WASM worker with a data directory.
    WasmData,
    /// On top of `Native` and `Wasm`: no new executable memory, no path at all.
    Lockdown,
    /// On top of the two with a data directory: no new executable memory.
    LockdownData,
    /// A compile job: neither of that from the start, and no sockets.
    Compile,
}

impl Filter {
    /// Every one.
    pub const ALL: [Self; 7] =
        [Self::Native, Self::Wasm, Self::NativeData, Self::WasmData, Self::Lockdown, Self::LockdownData, Self::Compile];

    /// The one that a worker enters on top of it.
    #[must_use]
    pub const fn second(self) -> Option<Self> {
        match self {
            Self::Native | Self::Wasm => Some(Self::Lockdown),
            Self::NativeData | Self::WasmData => Some(Self::LockdownData),
            Self::Lockdown | Self::LockdownData | Self::Compile => None,
        }
    }

    /// Whether it refuses every path, opening one included.
    #[must_use]
    pub const fn opens_nothing(self) -> bool {
        matches!(self, Self::Lockdown | Self::Compile)
    }

    /// The tables it is made of; no call is in two of them.
    #[must_use]
    pub const fn tables(self) -> &'static [Table] {
        use {common as c, files as f, memory as m, sockets as s};
        match self {
            Self::Native => {
                &[c::COMMON, c::LEGACY, s::SOCKETS, m::LOADING, m::FILES, f::NONE, f::NONE_LEGACY, f::LIBRARIES]
            }
            Self::Wasm => &[
                c::COMMON,
                c::CLOCK,
                c::LEGACY,
                s::SOCKETS,
                m::LOADING,
                m::FILES,
                f::NONE,
                f::NONE_LEGACY,
                f::OWN_CODE,
            ],
            Self::NativeData => &[c::COMMON, c::LEGACY, s::SOCKETS, m::LOADING, m::COPIES, f::DATA, f::DATA_LEGACY],
            Self::WasmData => {
                &[c::COMMON, c::CLOCK, c::LEGACY, s::SOCKETS, m::LOADING, m::FILES, f::DATA, f::DATA_LEGACY]
            }
            Self::Lockdown => &[m::LOCKED, f::NO_OPEN],
            Self::LockdownData => &[m::LOCKED],
            Self::Compile => &[c::COMMON, c::LEGACY, m::LOCKED, m::COMPILING, f::NONE, f::NONE_LEGACY, f::NO_OPEN],
        }
    }

    /// What a call meets that no table names. The second filters only take away: what they do not name
    /// meets the first one.
    #[must_use]
    pub const fn default_answer(self) -> Answer {
        match self {
            Self::Lockdown | Self::LockdownData => Answer::Allow,
            _ => Answer::Trap,
        }
    }

    /// Its name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Wasm => "wasm",
            Self::NativeData => "native-data",
            Self::WasmData => "wasm-data",
            Self::Lockdown => "lockdown",
            Self::LockdownData => "lockdown-data",
            Self::Compile => "compile",
        }
    }

    /// The rules for a processor, each with one of its calls.
    pub fn rules(self, arch: Arch) -> impl Iterator<Item = (&'static str, &'static Rule)> {
        let tables = self.tables().iter().filter(move |table| table.arch.is_none_or(|only| only == arch));
        tables.flat_map(|table| table.rules).flat_map(|rule| rule.calls.iter().map(move |call| (*call, rule)))
    }

    /// What a call meets, by the tables.
    #[must_use]
    pub fn answer(self, arch: Arch, call: &str, arguments: [u64; 6], own_pid: u32) -> Answer {
        match self.rules(arch).find(|(name, _)| *name == call) {
            Some((_, rule)) => rule.answer(arguments, own_pid),
            None => self.default_answer(),
        }
    }
}

impl Rule {
    /// What a call with these arguments meets.
    #[must_use]
    pub fn answer(&self, arguments: [u64; 6], own_pid: u32) -> Answer {
        let fits = |arm: &&Arm| arm.when.iter().all(|condition| condition.holds(arguments, own_pid));
        self.arms.iter().find(fits).map_or(self.otherwise, |arm| arm.then)
    }
}

impl Condition {
    /// Whether the arguments meet it.
    #[must_use]
    pub fn holds(&self, arguments: [u64; 6], own_pid: u32) -> bool {
        let all = match self.width {
            Width::Int => u64::from(u32::MAX),
            Width::Long => u64::MAX,
        };
        let value = arguments[usize::from(self.argument)] & all;
        match self.test {
            Test::Is(number) => value == number & all,
            Test::AtMost(number) => value <= number,
            Test::Masked(mask, bits) => value & mask == bits,
            Test::OwnPid => value == u64::from(own_pid),
        }
    }
}

/// An `int` argument that is this number.
const fn int(argument: u8, number: u64) -> Condition {
    Condition { argument, width: Width::Int, test: Test::Is(number) }
}

/// An `int` argument of whose bits in the mask exactly these are set.
const fn bits(argument: u8, mask: u64, bits: u64) -> Condition {
    Condition { argument, width: Width::Int, test: Test::Masked(mask & 0xFFFF_FFFF, bits) }
}

/// An `int` argument with no other bits than these.
const fn only(argument: u8, allowed: u64) -> Condition {
    bits(argument, !allowed, 0)
}

/// A pointer that is null.
const fn null(argument: u8) -> Condition {
    Condition { argument, width: Width::Long, test: Test::Is(0) }
}

const fn allow(when: &'static [Condition]) -> Arm {
    Arm { when, then: Answer::Allow }
}

const fn refuse(when: &'static [Condition], errno: u16) -> Arm {
    Arm { when, then: Answer::Errno(errno) }
}

/// Calls that are always allowed.
const fn free(calls: &'static [&'static str]) -> Rule {
    Rule { calls, arms: &[], otherwise: Answer::Allow }
}

/// Calls that always fail with an errno.
const fn fail(calls: &'static [&'static str], errno: u16) -> Rule {
    Rule { calls, arms: &[], otherwise: Answer::Errno(errno) }
}

/// Calls that fail with an errno unless an arm fits.
const fn unless(calls: &'static [&'static str], arms: &'static [Arm], errno: u16) -> Rule {
    Rule { calls, arms, otherwise: Answer::Errno(errno) }
}

/// Calls that trap unless an arm fits.
const fn trap(calls: &'static [&'static str], arms: &'static [Arm]) -> Rule {
    Rule { calls, arms, otherwise: Answer::Trap }
}

/// The errnos of the tables, the same on all processors here.
mod errno {
    pub const EPERM: u16 = 1;
    pub const ENOMEM: u16 = 12;
    pub const EACCES: u16 = 13;
    pub const EINVAL: u16 = 22;
    pub const ENOTTY: u16 = 25;
    pub const ENOSYS: u16 = 38;
    pub const ENOPROTOOPT: u16 = 92;
    pub const EOPNOTSUPP: u16 = 95;
}
