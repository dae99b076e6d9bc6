//! The system-call filters, asked call by call in a process under them, against the tables they are made from.
//!
//! Below them lies a filter that lets nothing through either and answers [`REACHED`]: what the policy allows is told
//! from what it refuses, and nothing asked here is ever done.

use midimon_worker::sandbox::seccomp::policy::{Answer, Arch, Condition, Filter, Rule, SECOND, Test, Width};
use midimon_worker::sandbox::seccomp::{NUMBERS, SIZES, program};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use std::collections::HashMap;
use std::ffi::{c_int, c_void};

#[cfg(target_arch = "x86_64")]
const ARCH: Arch = Arch::X86_64;
#[cfg(target_arch = "aarch64")]
const ARCH: Arch = Arch::Aarch64;

/// An errno no kernel has: the policy allowed the call.
const REACHED: i64 = 200;
/// Another: the call trapped.
const TRAPPED: i64 = 201;

/// Numbers of calls as of Linux 6.18, and some beyond.
const LAST_NUMBER: u32 = 480;
/// Two that the child itself needs, and `uretprobe` and `uprobe` of x86_64: kernels let those past every filter, and
/// end whoever makes them by hand with SIGILL.
const NOT_ASKED: [i64; 4] = [libc::SYS_exit_group, libc::SYS_rt_sigreturn, 335, 336];
/// x86_64 calls of programs with 32-bit pointers.
const X32: u32 = 0x4000_0000;

/// What workers and compile jobs run under, one after the other.
const STACKS: [&[Filter]; 9] = [
    &[Filter::Native],
    &[Filter::Wasm],
    &[Filter::NativeData],
    &[Filter::WasmData],
    &[Filter::Native, Filter::Lockdown],
    &[Filter::Wasm, Filter::Lockdown],
    &[Filter::NativeData, Filter::LockdownData],
    &[Filter::WasmData, Filter::LockdownData],
    &[Filter::Compile],
];

#[derive(Clone, Copy, Debug)]
struct Sample {
    number: u32,
    arguments: [u64; 6],
}

/// Values of an argument that meet a condition, and some that do not.
fn values(condition: &Condition, own_pid: u32) -> (Vec<u64>, Vec<u64>) {
    let width = if condition.width == Width::Int { 32 } else { 64 };
    let flip = |value: u64| (0..width).map(move |bit| value ^ 1 << bit);
    let (mut good, bad) = match condition.test {
        Test::Is(number) => (vec![number], flip(number).collect()),
        Test::AtMost(number) => (vec![0, number], vec![number + 1, u64::from(u32::MAX), 1 << 31]),
        Test::Masked(mask, bits) => {
            let all = if width == 32 { u64::from(u32::MAX) } else { u64::MAX };
            let bad = (0..width).filter(|bit| mask & 1 << bit != 0).map(|bit| bits ^ 1 << bit);
            (vec![bits, bits | (all & !mask)], bad.collect())
        }
        Test::OwnPid => (vec![own_pid.into()], vec![0, 1, u64::from(own_pid) + 1, u64::from(u32::MAX)]),
    };
    if condition.width == Width::Int {
        // the upper half is not looked at, by the filter or by the kernel
        good.push(good[0] | 0xABCD << 32);
    }
    (good, bad)
}

/// Arguments that meet an arm, and for each of its conditions some that fail it alone.
fn samples_of(rule: &Rule, own_pid: u32) -> Vec<[u64; 6]> {
    let mut samples = vec![[0; 6], [u64::MAX; 6], [1, 2, 3, 4, 5, 6]];
    for arm in rule.arms {
        for rest in [0, 0x1234_5678_9ABC_DEF0] {
            let mut fitting = [rest; 6];
            for condition in arm.when {
                fitting[usize::from(condition.argument)] = 0;
            }
            for condition in arm.when {
                // two conditions about one argument are about different bits of it
                fitting[usize::from(condition.argument)] |= values(condition, own_pid).0[0];
            }
            samples.push(fitting);
            for condition in arm.when {
                let (good, bad) = values(condition, own_pid);
                for value in good.into_iter().chain(bad) {
                    let mut changed = fitting;
                    changed[usize::from(condition.argument)] = value;
                    samples.push(changed);
                }
            }
        }
    }
    samples
}

fn samples(stack: &[Filter], own_pid: u32) -> Vec<Sample> {
    let numbers: HashMap<_, _> = NUMBERS.iter().copied().collect();
    let mut samples = Vec::new();
    for (call, rule) in stack.iter().flat_map(|filter| filter.rules(ARCH)) {
        let number = numbers[call];
        samples.extend(samples_of(rule, own_pid).into_iter().map(|arguments| Sample { number, arguments }));
    }
    let bare = (0..=LAST_NUMBER).chain((0..=LAST_NUMBER).map(|number| number | X32)).chain([0x7FFF_FFFF]);
    samples.extend(bare.map(|number| Sample { number, arguments: [0; 6] }));
    samples.retain(|sample| !NOT_ASKED.contains(&sample.number.into()));
    samples
}

/// What the tables say: of several filters the strictest counts, of equally strict ones the newest.
fn expected(stack: &[Filter], sample: &Sample, own_pid: u32) -> Answer {
    let call = NUMBERS.iter().find(|(_, number)| *number == sample.number).map_or("", |(name, _)| *name);
    let answers = stack.iter().rev().map(|filter| filter.answer(ARCH, call, sample.arguments, own_pid));
    let strictness = |answer: &Answer| match answer {
        Answer::Trap => 0,
        Answer::Errno(_) => 1,
        Answer::Allow => 2,
    };
    answers.min_by_key(strictness).unwrap()
}

extern "C" fn trapped(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel gives a valid context.
    let context = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext };
    #[cfg(target_arch = "x86_64")]
    {
        context.gregs[libc::REG_RAX as usize] = -TRAPPED;
    }
    #[cfg(target_arch = "aarch64")]
    {
        context.regs[0] = (-TRAPPED).cast_unsigned();
    }
}

/// A handler that lets trapped calls fail with [`TRAPPED`].
fn catch_traps() {
    // SAFETY: all zeroes is a valid sigaction, and the handler has the type that SA_SIGINFO asks for.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = trapped as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        assert_eq!(libc::sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut()), 0);
    }
}

fn install(code: Vec<libc::sock_filter>) {
    // SAFETY: takes numbers only.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    place_for_programs();
    stack_on_top(code);
}

/// From where alone the first filter lets a second one be taken.
fn stack_on_top(mut code: Vec<libc::sock_filter>) {
    let program = libc::sock_fprog { len: code.len().try_into().unwrap(), filter: code.as_mut_ptr() };
    let place = SECOND as *mut libc::sock_fprog;
    // SAFETY: `place_for_programs` has made memory there; the program outlives the call, after which there is none.
    let result = unsafe {
        place.write(program);
        let result = libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 1, place);
        place.write_bytes(0, 1);
        result
    };
    assert_eq!(result, 0);
}

fn place_for_programs() {
    // SAFETY: new memory where nothing is.
    let place = unsafe {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        libc::mmap(SECOND as *mut c_void, 4096, protection, flags | libc::MAP_FIXED_NOREPLACE, -1, 0)
    };
    assert_eq!(place, SECOND as *mut c_void);
}

/// [`REACHED`] for everything but what the child itself needs.
fn floor() -> Vec<libc::sock_filter> {
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let number = |call: i64, jt| step(0x15, jt, 0, u32::try_from(call).unwrap());
    vec![
        step(0x20, 0, 0, 0),
        number(libc::SYS_exit_group, 3),
        number(libc::SYS_rt_sigreturn, 2),
        number(libc::SYS_seccomp, 1),
        step(0x06, 0, 0, 0x0005_0000 | REACHED as u32),
        step(0x06, 0, 0, 0x7FFF_0000),
    ]
}

fn ask(sample: &Sample) -> i64 {
    let [a, b, c, d, e, f] = sample.arguments;
    // SAFETY: no call gets past the filters, but for `seccomp`, whose program lies nowhere.
    match unsafe { libc::syscall(i64::from(sample.number), a, b, c, d, e, f) } {
        -1 => i64::from(std::io::Error::last_os_error().raw_os_error().unwrap()),
        _ => 0,
    }
}

/// Runs it in a child whose exit code says whether it panicked.
fn in_child(run: impl FnOnce()) -> (Pid, WaitStatus) {
    // SAFETY: the child runs alone from here on, allocates (which the C library provides for) and ends by _exit.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => (child, waitpid(child, None).unwrap()),
        ForkResult::Child => {
            let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err();
            // SAFETY: takes a number and does not return.
            unsafe { libc::_exit(code.into()) }
        }
    }
}

/// What each sample returned under the filters.
fn answers(stack: &[Filter]) -> (u32, Vec<i64>) {
    const ROOM: usize = 1 << 20;
    // SAFETY: new memory, shared with the child alone.
    let shared = unsafe {
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        libc::mmap(std::ptr::null_mut(), ROOM * 8, protection, flags, -1, 0)
    };
    assert_ne!(shared, libc::MAP_FAILED);
    // SAFETY: as large as mapped; written by the child only, read after its end.
    let results = unsafe { std::slice::from_raw_parts_mut(shared.cast::<i64>(), ROOM) };
    let (child, status) = in_child(|| {
        let own_pid = std::process::id();
        let samples = samples(stack, own_pid);
        let programs: Vec<_> = stack.iter().map(|filter| program(*filter, own_pid).unwrap()).collect();
        assert!(samples.len() < ROOM);
        catch_traps();
        install(floor());
        for code in programs {
            stack_on_top(code);
        }
        for (sample, result) in samples.iter().zip(results.iter_mut()) {
            *result = ask(sample);
        }
        // SAFETY: takes a number and does not return; dropping what was allocated would need calls.
        unsafe { libc::_exit(0) };
    });
    assert_eq!(status, WaitStatus::Exited(child, 0), "{stack:?}");
    let own_pid = child.as_raw() as u32;
    let results = results[..samples(stack, own_pid).len()].to_vec();
    // SAFETY: mapped above, used no more.
    unsafe { libc::munmap(shared, ROOM * 8) };
    (own_pid, results)
}

#[test]
fn each_call_meets_what_the_tables_say_whatever_its_arguments() {
    for stack in STACKS {
        let (own_pid, results) = answers(stack);
        let samples = samples(stack, own_pid);
        assert!(samples.len() > 2 * LAST_NUMBER as usize, "{stack:?}");
        let mut counts = [0; 3];
        for (sample, result) in samples.iter().zip(results) {
            let answer = expected(stack, sample, own_pid);
            let right = match answer {
                Answer::Trap => result == TRAPPED,
                Answer::Errno(errno) => result == i64::from(errno),
                // the one call that goes through to the kernel, which finds no program
                Answer::Allow if i64::from(sample.number) == libc::SYS_seccomp => {
                    [libc::EFAULT, libc::EINVAL].contains(&(result as i32))
                }
                Answer::Allow => result == REACHED,
            };
            assert!(right, "{stack:?}: {sample:x?} must meet {answer:?}, returned {result}");
            counts[match answer {
                Answer::Allow => 0,
                Answer::Errno(_) => 1,
                Answer::Trap => 2,
            }] += 1;
        }
        assert!(counts.iter().all(|count| *count > 100), "{stack:?}: {counts:?}");
    }
}

#[test]
fn a_call_of_another_architecture_kills() {
    #[cfg(target_arch = "x86_64")]
    for (filter, killed) in [(None, false), (Some(Filter::Native), true), (Some(Filter::Lockdown), true)] {
        let (child, status) = in_child(|| {
            catch_traps();
            if let Some(filter) = filter {
                install(program(filter, std::process::id()).unwrap());
            }
            let pid: u32;
            // SAFETY: getpid of i386, which takes and changes nothing.
            unsafe { std::arch::asm!("int 0x80", inlateout("eax") 20_u32 => pid) };
            assert_eq!(pid, std::process::id());
        });
        let expected = match killed {
            true => WaitStatus::Signaled(child, Signal::SIGSYS, false),
            false => WaitStatus::Exited(child, 0),
        };
        assert_eq!(status, expected, "{filter:?}");
    }
}

#[test]
fn every_filter_was_made_for_both_processors_and_is_small() {
    for arch in ["x86_64", "aarch64"] {
        for filter in Filter::ALL {
            let found = SIZES.iter().find(|(name, of, _)| (*name, *of) == (arch, filter.name()));
            let (.., size) = found.unwrap_or_else(|| panic!("none for {arch} {filter:?}"));
            println!("{arch} {}: {size} instructions", filter.name());
            assert!((20..2000).contains(size), "{arch} {filter:?}: {size}");
        }
    }
}

#[test]
fn no_call_is_in_two_rules_of_a_filter() {
    for arch in [Arch::X86_64, Arch::Aarch64] {
        for filter in Filter::ALL {
            let mut calls: Vec<_> = filter.rules(arch).map(|(call, _)| call).collect();
            let all = calls.len();
            calls.sort_unstable();
            calls.dedup();
            assert_eq!(calls.len(), all, "{filter:?}");
        }
    }
}
