//! `/proc/PID/status`: what the kernel says about a worker, readable for the
//! same user even when the worker is not dumpable.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;

/// `PF_EXITING` of the kernel's `include/linux/sched.h`, in the flags of `/proc/PID/stat`.
const PF_EXITING: u64 = 0x4;

/// A process as a thread of it that runs shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Living {
    /// That thread's status.
    pub status: ProcStatus,
    /// The main thread has ended, and others go on (or are about to end).
    pub main_ended: bool,
}

/// The lines the supervisor looks at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProcStatus {
    /// It is a zombie: it has no memory any more, and shows none of its process's.
    pub ended: bool,
    /// `NoNewPrivs` is 1.
    pub no_new_privs: bool,
    /// Number of threads.
    pub threads: u32,
    /// Capabilities in any of the sets that give power now or over exec: inheritable, permitted,
    /// effective, ambient.
    pub capabilities: u64,
    /// Capability bounding set.
    pub cap_bounding: u64,
    /// Seccomp mode: 0 none, 2 filter.
    pub seccomp: u32,
    /// Seccomp filters in force (Linux 5.9).
    pub seccomp_filters: u32,
    /// Private anonymous resident memory in KiB.
    pub rss_anon_kib: u64,
    /// Private writable memory in KiB, what RLIMIT_DATA counts.
    pub vm_data_kib: u64,
    /// Private memory put out to swap, in KiB.
    pub vm_swap_kib: u64,
    /// Page tables in KiB, which no rlimit counts.
    pub vm_pte_kib: u64,
}

impl ProcStatus {
    /// Reads the status of a process.
    ///
    /// # Errors
    /// The process has ended, or `/proc` hides it (mounted with `hidepid`).
    pub fn read(pid: i32) -> io::Result<Self> {
        with_text(open(pid, "status")?, Self::parse)
    }

    /// Reads the status of a process, from another thread of it where the main one has ended;
    /// `at_most` so many are looked at.
    ///
    /// # Errors
    /// As [`ProcStatus::read`].
    pub fn read_living(pid: i32, at_most: usize) -> io::Result<Living> {
        let status = Self::read(pid)?;
        if status.ended && status.threads > 1 {
            for entry in std::fs::read_dir(format!("/proc/{pid}/task"))?.take(at_most) {
                let file = File::open(entry?.path().join("status"));
                let Ok(status) = file.and_then(|file| with_text(file, Self::parse)) else { continue }; // it has ended meanwhile
                if !status.ended {
                    return Ok(Living { status, main_ended: true });
                }
            }
        }
        Ok(Living { status, main_ended: false })
    }

    /// Memory that is the process's alone, wherever it lies: resident, swapped out, and page tables. In KiB.
    #[must_use]
    pub const fn held_kib(&self) -> u64 {
        self.rss_anon_kib.saturating_add(self.vm_swap_kib).saturating_add(self.vm_pte_kib)
    }

    /// Reads the status of each thread of a process, `at_most` so many; those that
    /// are ending are left out, as they run nothing any more.
    ///
    /// # Errors
    /// As [`ProcStatus::read`].
    pub fn read_tasks(pid: i32, at_most: usize) -> io::Result<Vec<Self>> {
        let mut tasks = Vec::new();
        for entry in std::fs::read_dir(format!("/proc/{pid}/task"))?.take(at_most) {
            let task = entry?.path();
            let look = File::open(task.join("status")).and_then(|file| with_text(file, Self::parse));
            let Ok(status) = look else { continue }; // it has ended meanwhile
            // in this order: a task on its way out may have lost its filters before it is gone
            let exiting = File::open(task.join("stat")).and_then(|file| with_text(file, is_exiting));
            if exiting.is_ok_and(|exiting| !exiting) {
                tasks.push(status);
            }
        }
        Ok(tasks)
    }

    /// Reads the text of `/proc/PID/status`; absent or malformed lines count as 0,
    /// malformed capabilities as all.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut status = Self::default();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            let number = || value.split_whitespace().next().and_then(|digits| digits.parse().ok()).unwrap_or(0u64);
            let count = || u32::try_from(number()).unwrap_or(u32::MAX);
            let bits = || u64::from_str_radix(value, 16).unwrap_or(u64::MAX);
            match key {
                "State" => status.ended = value.starts_with(['Z', 'X']),
                "NoNewPrivs" => status.no_new_privs = value == "1",
                "Threads" => status.threads = count(),
                "CapInh" | "CapPrm" | "CapEff" | "CapAmb" => status.capabilities |= bits(),
                "CapBnd" => status.cap_bounding = bits(),
                "Seccomp" => status.seccomp = count(),
                "Seccomp_filters" => status.seccomp_filters = count(),
                "RssAnon" => status.rss_anon_kib = number(),
                "VmData" => status.vm_data_kib = number(),
                "VmSwap" => status.vm_swap_kib = number(),
                "VmPTE" => status.vm_pte_kib = number(),
                _ => {}
            }
        }
        status
    }
}

/// Opens a file in `/proc/PID`. Allocates nothing: processes are looked at while calls run.
pub(super) fn open(pid: i32, name: &str) -> io::Result<File> {
    let mut path = io::Cursor::new([0; 40]);
    write!(path, "/proc/{pid}/{name}")?;
    let length = path.position() as usize;
    File::open(std::ffi::OsStr::from_bytes(&path.get_ref()[..length]))
}

/// Looks at the text of a file. What is no UTF-8 becomes U+FFFD: a process gives itself a name, of any bytes, and
/// must not hide everything else behind it. Allocates only for names like that, or thousands of groups.
fn with_text<T>(mut file: File, look: impl FnOnce(&str) -> T) -> io::Result<T> {
    let mut start = [0; 4096];
    let count = file.read(&mut start)?;
    if count < start.len() {
        return Ok(look(&String::from_utf8_lossy(&start[..count])));
    }
    let mut text = start.to_vec();
    file.take(64 * 1024).read_to_end(&mut text)?;
    Ok(look(&String::from_utf8_lossy(&text)))
}

/// Whether a `/proc/PID/stat` is that of a task on its way out: flags are the seventh
/// field after the name, which stands in brackets and can have any characters.
fn is_exiting(stat: &str) -> bool {
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let flags = fields.split_whitespace().nth(6).and_then(|flags| flags.parse::<u64>().ok());
    flags.is_some_and(|flags| flags & PF_EXITING != 0)
}

#[cfg(test)]
#[allow(unsafe_code)] // mappings and threads as no safe function makes them
mod tests {
    use super::*;

    #[test]
    fn our_own_status_can_be_read() {
        let status = ProcStatus::read(std::process::id() as i32).unwrap();
        assert!(status.threads >= 1);
        assert!(status.vm_data_kib > 0);
    }

    #[test]
    fn each_of_our_threads_is_read_and_no_more_than_asked_for() {
        let (sender, receiver) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || receiver.recv());
        let us = std::process::id() as i32;
        assert!(ProcStatus::read_tasks(us, 1000).unwrap().len() >= 2);
        assert_eq!(ProcStatus::read_tasks(us, 1).unwrap().len(), 1);
        drop(sender);
        let _ = thread.join().unwrap();
        assert!(ProcStatus::read_tasks(i32::MAX, 1).is_err());
    }

    #[test]
    fn memory_that_was_written_and_page_tables_of_what_was_only_read_are_seen() {
        use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
        use std::num::NonZeroUsize;
        const WRITTEN: usize = 64 << 20;
        const READ: usize = 8 << 30;
        let us = std::process::id() as i32;
        let held = || ProcStatus::read_living(us, 1).unwrap().status;
        let before = held();
        let memory = std::hint::black_box(vec![1u8; WRITTEN]);
        let written = held();
        assert!(written.rss_anon_kib >= before.rss_anon_kib + (WRITTEN as u64 >> 10) * 3 / 4, "{before:?} {written:?}");
        drop(memory);
        let size = NonZeroUsize::new(READ).unwrap();
        let flags = MapFlags::MAP_PRIVATE | MapFlags::MAP_NORESERVE;
        // SAFETY: a new mapping, which nobody else knows of; only read, and given back below.
        unsafe {
            let tables = held().vm_pte_kib;
            let start = mmap_anonymous(None, size, ProtFlags::PROT_READ, flags).unwrap();
            let zeroes: u64 =
                (0..READ).step_by(2 << 20).map(|at| u64::from(start.byte_add(at).cast::<u8>().read())).sum();
            let read = held();
            munmap(start, READ).unwrap();
            assert_eq!(zeroes, 0);
            // one table of 4 KiB for each 2 MiB, unless the kernel takes huge pages for zeroes too
            let huge = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled");
            if huge.is_ok_and(|text| !text.contains("[always]")) {
                assert!(read.vm_pte_kib >= tables + (READ as u64 >> 19) * 3 / 4, "{tables} {read:?}");
                assert!(read.held_kib() >= read.rss_anon_kib + read.vm_pte_kib);
            }
        }
    }

    /// Says that the test below is its own child.
    const MAIN_ENDS: &str = "MIDIMON_TEST_MAIN_ENDS";

    extern "C" fn end_thread(_: i32) {
        // SAFETY: takes a number, and does not return.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
    }

    /// Ends the process's main thread, holds memory in this one, and waits for the end of its input.
    fn be_without_main() -> ! {
        use std::io::Read as _;
        let memory = vec![1u8; 64 << 20];
        let us = std::process::id();
        // SAFETY: the handler makes one system call; the signal goes to our own main thread.
        unsafe {
            libc::signal(libc::SIGUSR1, end_thread as *const () as usize);
            libc::syscall(libc::SYS_tgkill, us, us, libc::SIGUSR1);
        }
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::hint::black_box(&memory);
        // SAFETY: takes a number, and does not return.
        unsafe { libc::_exit(0) }
    }

    #[test]
    fn a_process_whose_main_thread_has_ended_hides_no_memory() {
        use std::process::{Command, Stdio};
        if std::env::var_os(MAIN_ENDS).is_some() {
            be_without_main();
        }
        let name = "sys::proc_status::tests::a_process_whose_main_thread_has_ended_hides_no_memory";
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", name]).env(MAIN_ENDS, "1").stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        let pid = child.id() as i32;
        crate::testing::until("its main thread has ended", || ProcStatus::read(pid).unwrap().ended);
        assert_eq!(ProcStatus::read(pid).unwrap().held_kib(), 0, "which is all that its own number shows");
        let seen = ProcStatus::read_living(pid, 64).unwrap();
        assert!(seen.main_ended && seen.status.threads >= 2, "{seen:?}");
        assert!(seen.status.held_kib() >= 64 * 1024, "{seen:?}");
        assert!(!ProcStatus::read_living(std::process::id() as i32, 64).unwrap().main_ended);
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn a_thread_whose_name_is_no_text_hides_nothing() {
        let (named, main) = std::sync::mpsc::channel();
        let (done, thread) = std::sync::mpsc::channel::<()>();
        let hidden = std::thread::spawn(move || {
            // SAFETY: the name is a string of bytes that ends with NUL.
            assert_eq!(unsafe { libc::prctl(libc::PR_SET_NAME, c"\xFF)\xFE".as_ptr()) }, 0);
            named.send(nix::unistd::gettid().as_raw()).unwrap();
            let _ = thread.recv();
        });
        let thread = main.recv().unwrap();
        let us = std::process::id() as i32;
        let raw = std::fs::read(format!("/proc/{us}/task/{thread}/status")).unwrap();
        assert!(std::str::from_utf8(&raw).is_err(), "the kernel passes the name on as it is");
        // a thread is found under its own number too
        assert!(ProcStatus::read(thread).unwrap().vm_data_kib > 0);
        let count = |pid| ProcStatus::read_tasks(pid, 10_000).unwrap().len();
        let listed = || std::fs::read_dir(format!("/proc/{us}/task")).unwrap().count();
        // other tests' threads come and go
        assert!((0..1000).any(|_| listed() == count(us)));
        drop(done);
        hidden.join().unwrap();
    }

    #[test]
    fn malformed_lines_count_as_nothing_and_unreadable_capabilities_as_all() {
        let status = ProcStatus::parse("Threads:\tx\nCapAmb:\tzz\nNoNewPrivs:\t1\nfoo\nRssAnon:\t  12 kB\n");
        assert_eq!(status.threads, 0);
        assert_eq!(status.capabilities, u64::MAX);
        assert!(status.no_new_privs);
        assert_eq!(status.rss_anon_kib, 12);
    }

    #[test]
    fn a_capability_in_any_set_but_the_bounding_one_counts_and_filters_are_counted() {
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert_eq!(ProcStatus::parse(&format!("{set}:\t0000000000000020\n")).capabilities, 0x20, "{set}");
        }
        let status = ProcStatus::parse("CapBnd:\t000001ffffffffff\nSeccomp:\t2\nSeccomp_filters:\t3\n");
        assert_eq!((status.capabilities, status.cap_bounding), (0, 0x1ff_ffff_ffff));
        assert_eq!((status.seccomp, status.seccomp_filters), (2, 3));
    }

    #[test]
    fn a_task_on_its_way_out_is_told_whatever_it_is_called() {
        assert!(!is_exiting("7 (a) b 4) S 1 7 7 0 -1 4194304 0 0"));
        assert!(is_exiting("7 (a) b 0) S 1 7 7 0 -1 4194308 0 0"));
        assert!(!is_exiting("") && !is_exiting("7 (x"));
    }
}
