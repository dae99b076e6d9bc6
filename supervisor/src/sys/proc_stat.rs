//! `/proc/PID/stat`: how much a process has worked. Readable for the same user even
//! when the process is not dumpable, and until it is reaped.

use nix::unistd::{SysconfVar, sysconf};
use std::io::{self, Read};
use std::sync::OnceLock;
use std::time::Duration;

/// What the supervisor looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProcStat {
    /// Processor time of all its threads, ended ones too. The kernel scales it to
    /// what its scheduler measured, so sleeping through its ticks hides nothing.
    pub worked: Duration,
    /// Number of threads.
    pub threads: u32,
}

impl ProcStat {
    /// Looks at a process.
    ///
    /// # Errors
    /// It was reaped, or `/proc` hides it (mounted with `hidepid`).
    pub fn read(pid: i32) -> io::Result<Self> {
        let mut text = [0; 2048]; // 52 numbers of 20 digits at most
        let count = super::proc_status::open(pid, "stat")?.read(&mut text)?;
        Self::parse(&text[..count], ticks_per_s()).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// Reads the text of `/proc/PID/stat`; `None` when it is not that.
    fn parse(text: &[u8], ticks_per_s: u64) -> Option<Self> {
        // the process chooses its own name, in parentheses, and may put any bytes but NUL in it
        let name_ends = text.iter().rposition(|&byte| byte == b')')?;
        let numbers = std::str::from_utf8(&text[name_ends + 1..]).ok()?;
        // counted as in proc(5), where the state that follows the name is number 3
        let number = |nth: usize| numbers.split_ascii_whitespace().nth(nth - 3)?.parse::<u64>().ok();
        let ticks = number(14)?.checked_add(number(15)?)?;
        let worked = Duration::from_millis(ticks.checked_mul(1000)? / ticks_per_s);
        Some(Self { worked, threads: u32::try_from(number(20)?).ok()? })
    }
}

fn ticks_per_s() -> u64 {
    static TICKS: OnceLock<u64> = OnceLock::new();
    let asked = || sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|ticks| u64::try_from(ticks).ok());
    // 100 in every Linux there is
    *TICKS.get_or_init(|| asked().filter(|&ticks| ticks > 0).unwrap_or(100))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::until;
    use proptest::prelude::*;

    #[test]
    fn our_own_work_is_seen_to_grow() {
        let pid = std::process::id() as i32;
        let before = ProcStat::read(pid).unwrap();
        assert!(before.threads >= 1);
        until("20 ms of work", || {
            // looking is work too
            (0..100).any(|_| ProcStat::read(pid).unwrap().worked >= before.worked + Duration::from_millis(20))
        });
    }

    #[test]
    fn a_name_that_looks_like_numbers_hides_nothing() {
        let text = b"7 (x) R 1 1 1\n\xFF() S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 30 10 65 0 77 1 2";
        let stat = ProcStat::parse(text, 100).unwrap();
        assert_eq!(stat, ProcStat { worked: Duration::from_secs(3), threads: 65 });
    }

    #[test]
    fn what_is_no_stat_is_refused() {
        let all = u64::MAX;
        let huge = format!("7 (x) S 1 7 7 0 -1 0 0 0 0 0 {all} {all} 0 0 30 10 1 0");
        for text in ["", "7 (x", "7 (x) S 1 2", &huge, "7 (x) S 1 7 7 0 -1 0 0 0 0 0 -1 0 0 0 30 10 1 0"] {
            assert_eq!(ProcStat::parse(text.as_bytes(), 100), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_process_of_any_name_has_worked_as_long_as_it_has(
            name in prop::collection::vec(1_u8.., 0..20), user in 0_u64..1 << 40, system in 0_u64..1 << 40, threads: u32,
        ) {
            let after = format!(") S 1 7 7 0 -1 0 0 0 0 0 {user} {system} 0 0 30 10 {threads} 0 9");
            let text = [b"7 (", name.as_slice(), after.as_bytes()].concat();
            let worked = Duration::from_millis((user + system) * 10);
            prop_assert_eq!(ProcStat::parse(&text, 100), Some(ProcStat { worked, threads }));
            let _ = ProcStat::parse(&name, 100);
        }
    }
}
