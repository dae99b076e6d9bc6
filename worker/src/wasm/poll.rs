//! `poll_oneoff` of WASI preview 1, made to end at the call's deadline.
//!
//! wasmtime-wasi's own sleeps on this thread, where no epoch can reach it, or starts a
//! multi-threaded runtime. A guest here has files and its log, which are always ready, so what is
//! left of polling is sleeping.

use super::deadline::DeadlinePassed;
use super::wasi::Guest;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use wasmtime::{Caller, Extern, Result};

const SUCCESS: u16 = 0;
const FAULT: u16 = 21;
const INVAL: u16 = 28;

const SUBSCRIPTION: usize = 48;
const EVENT: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// To wake up this long from now.
    Clock(Duration),
    /// To know when a descriptor can be read or written.
    Descriptor,
}

#[derive(Clone, Copy, Debug)]
struct Subscription {
    userdata: [u8; 8],
    kind: u8,
    wanted: Wanted,
}

/// The host function: `(subscriptions, events, count, count of events) -> errno`.
pub fn poll_oneoff(mut caller: Caller<'_, Guest>, input: u32, output: u32, count: u32, written: u32) -> Result<u32> {
    let Some(Extern::Memory(memory)) = caller.get_export("memory") else {
        return Ok(INVAL.into());
    };
    let (memory, guest) = memory.data_and_store_mut(&mut caller);
    let (input, output, count) = (input as usize, output as usize, count as usize);
    match poll(memory, guest.deadline(), input, output, count)? {
        Ok(events) => Ok(store(memory, written as usize, &events.to_le_bytes()).err().unwrap_or(SUCCESS).into()),
        Err(errno) => Ok(errno.into()),
    }
}

/// The outer error ends the guest, the inner one is an errno for it.
fn poll(memory: &mut [u8], deadline: Instant, input: usize, output: usize, count: usize) -> Result<Result<u32, u16>> {
    let now = Instant::now();
    let clocks = (monotonic_ns(), unix_ns());
    let nth = |memory: &[u8], index: usize| {
        subscription(memory, input.saturating_add(index.saturating_mul(SUBSCRIPTION)), clocks)
    };
    let mut earliest: Option<Duration> = None;
    for index in 0..count {
        match nth(memory, index) {
            Ok(subscription) => {
                let wait = match subscription.wanted {
                    Wanted::Clock(wait) => wait,
                    Wanted::Descriptor => Duration::ZERO,
                };
                earliest = Some(earliest.map_or(wait, |earliest| earliest.min(wait)));
            }
            Err(errno) => return Ok(Err(errno)),
        }
    }
    let Some(wait) = earliest else {
        return Ok(Err(INVAL)); // nothing to wait for
    };
    let left = deadline.saturating_duration_since(now);
    std::thread::sleep(wait.min(left));
    if wait >= left {
        return Err(DeadlinePassed.into());
    }
    let mut events = 0;
    for index in 0..count {
        let subscription = match nth(memory, index) {
            Ok(subscription) => subscription,
            Err(errno) => return Ok(Err(errno)),
        };
        let due = match subscription.wanted {
            Wanted::Clock(its) => its <= wait,
            Wanted::Descriptor => true,
        };
        if due {
            let mut event = [0; EVENT];
            event[..8].copy_from_slice(&subscription.userdata);
            event[10] = subscription.kind;
            event[16] = u8::from(subscription.wanted == Wanted::Descriptor); // a byte at least
            if let Err(errno) = store(memory, output.saturating_add(events * EVENT), &event) {
                return Ok(Err(errno));
            }
            events += 1;
        }
    }
    Ok(u32::try_from(events).map_err(|_| INVAL))
}

fn subscription(memory: &[u8], at: usize, (monotonic, unix): (u64, u64)) -> Result<Subscription, u16> {
    let bytes: &[u8; SUBSCRIPTION] = memory.get(at..).and_then(|rest| rest.first_chunk()).ok_or(FAULT)?;
    let number = |at: usize| bytes[at..].first_chunk().map_or(0, |number| u64::from_le_bytes(*number));
    let kind = bytes[8];
    let wanted = match (kind, bytes[16], bytes[40] & 1) {
        (0, 0 | 1, 0) => Wanted::Clock(Duration::from_nanos(number(24))),
        (0, 0, _) => Wanted::Clock(Duration::from_nanos(number(24).saturating_sub(unix))),
        (0, 1, _) => Wanted::Clock(Duration::from_nanos(number(24).saturating_sub(monotonic))),
        (1 | 2, _, _) => Wanted::Descriptor,
        _ => return Err(INVAL),
    };
    Ok(Subscription { userdata: number(0).to_le_bytes(), kind, wanted })
}

fn store(memory: &mut [u8], at: usize, bytes: &[u8]) -> Result<(), u16> {
    let end = at.checked_add(bytes.len()).ok_or(FAULT)?;
    memory.get_mut(at..end).ok_or(FAULT)?.copy_from_slice(bytes);
    Ok(())
}

/// The clock that guests see too, so that an absolute time of theirs means the same here.
pub fn monotonic_ns() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC);
    now.map_or(0, |now| u64::try_from(Duration::from(now).as_nanos()).unwrap_or(u64::MAX))
}

fn unix_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| u64::try_from(now.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn clock(userdata: u8, timeout: u64, absolute: bool) -> [u8; SUBSCRIPTION] {
        let mut bytes = [0; SUBSCRIPTION];
        bytes[0] = userdata;
        bytes[16] = 1;
        bytes[24..32].copy_from_slice(&timeout.to_le_bytes());
        bytes[40] = absolute.into();
        bytes
    }

    fn run(subscriptions: &[[u8; SUBSCRIPTION]], left: Duration) -> (Result<Result<u32, u16>>, Vec<u8>) {
        let mut memory = subscriptions.concat();
        let output = memory.len();
        memory.resize(output + subscriptions.len() * EVENT, 0xEE);
        let result = poll(&mut memory, Instant::now() + left, 0, output, subscriptions.len());
        (result, memory.split_off(output))
    }

    #[test]
    fn the_earliest_clock_wakes_and_later_ones_do_not_report() {
        let hour = 3_600_000_000_000;
        let (result, events) = run(&[clock(1, hour, false), clock(2, 1000, false)], Duration::from_secs(60));
        assert_eq!(result.unwrap(), Ok(1));
        assert_eq!((events[0], events[8], events[10], events[32]), (2, 0, 0, 0xEE));
        let (result, _) = run(&[clock(1, 5, true), clock(2, monotonic_ns() + hour, true)], Duration::from_secs(60));
        assert_eq!(result.unwrap(), Ok(1), "an absolute time that is past wakes at once");
    }

    #[test]
    fn a_sleep_past_the_deadline_ends_the_guest_at_the_deadline() {
        let started = Instant::now();
        let (result, _) = run(&[clock(1, 3_600_000_000_000, false)], Duration::from_millis(5));
        assert!(result.unwrap_err().is::<DeadlinePassed>());
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn descriptors_are_ready_at_once_beside_any_clock() {
        let mut read = clock(7, 0, false);
        read[8] = 1;
        let (result, events) = run(&[clock(1, 3_600_000_000_000, false), read], Duration::from_secs(60));
        assert_eq!(result.unwrap(), Ok(1));
        assert_eq!((events[0], events[10], events[16]), (7, 1, 1));
    }

    #[test]
    fn pointers_out_of_memory_and_unknown_kinds_are_errors_for_the_guest() {
        let mut memory = vec![0; 100];
        let deadline = Instant::now() + Duration::from_secs(60);
        for (input, output, count, errno) in [
            (0, 0, 0, INVAL),
            (90, 0, 1, FAULT),
            (usize::MAX, 0, 2, FAULT),
            (0, 90, 1, FAULT),
            (0, usize::MAX, 1, FAULT),
            (0, 0, usize::MAX, FAULT),
        ] {
            assert_eq!(
                poll(&mut memory, deadline, input, output, count).unwrap(),
                Err(errno),
                "{input} {output} {count}"
            );
            memory.fill(0);
        }
        memory[8] = 9;
        assert_eq!(poll(&mut memory, deadline, 0, 48, 1).unwrap(), Err(INVAL));
    }

    /// A subscription of any kind whose clock, if it is one, wakes within 50 µs.
    fn any_subscription() -> impl Strategy<Value = [u8; SUBSCRIPTION]> {
        (any::<[u8; SUBSCRIPTION]>(), 0_u8..4, 0_u8..3, 0_u64..50_000).prop_map(|(mut bytes, kind, clock, timeout)| {
            (bytes[8], bytes[16]) = (kind, clock);
            bytes[24..32].copy_from_slice(&timeout.to_le_bytes());
            bytes
        })
    }

    proptest! {
        #[test]
        fn whatever_is_asked_for_only_the_events_that_are_told_are_written(
            subscriptions in prop::collection::vec(any_subscription(), 0..5),
            free in 0_usize..200,
            (input, output, count) in (0_usize..300, 0_usize..500, 0_usize..6),
            wild: Option<(usize, usize, usize)>,
        ) {
            let mut memory = subscriptions.concat();
            memory.resize(memory.len() + free, 0xEE);
            let before = memory.clone();
            let (input, output, count) = wild.unwrap_or((input % 3 * SUBSCRIPTION, output, count));
            let told = poll(&mut memory, Instant::now() + Duration::from_secs(60), input, output, count);
            match told.expect("the deadline is far away") {
                Ok(events) => {
                    let events = events as usize;
                    let end = output + events * EVENT;
                    prop_assert!((1..=count).contains(&events) && end <= memory.len());
                    prop_assert_eq!((&memory[..output], &memory[end..]), (&before[..output], &before[end..]));
                }
                Err(errno) => prop_assert!([FAULT, INVAL].contains(&errno)),
            }
        }
    }
}
