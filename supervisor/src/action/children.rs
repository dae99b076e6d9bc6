//! Programs started on the user's behalf: kept in number, stopped in time, always reaped.

use super::notes::Notes;
use crate::clock::{Time, now};
use crate::mapping::types::Shell;
use crate::sys::inherit::close_others_on_exec;
use crate::sys::pidfd::{PidFd, ProcessEnd};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::Serialize;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Orders that wait to be carried out at most.
pub(super) const MAX_WAITING: usize = 256;
/// Commands that run at once at most.
pub const MAX_COMMANDS: usize = 32;
/// Launched applications that are watched for their end at once at most.
pub const MAX_LAUNCHED: usize = 128;

/// How commands and applications are doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ChildrenStatus {
    /// Commands and applications started.
    pub started: u64,
    /// Those that run.
    pub running: u64,
    /// Those that could not be started, or ended other than with 0.
    pub failed: u64,
    /// Commands that were killed at their timeout.
    pub timed_out: u64,
    /// Those not started because too many ran or waited.
    pub dropped: u64,
}

#[derive(Debug)]
pub(super) enum Order {
    Shell(Shell),
    Launch(Arc<str>),
}

pub(super) struct Children {
    orders: SyncSender<Order>,
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    wake: EventFd,
    stop: AtomicBool,
    /// Orders not carried out yet, and commands that run.
    unfinished: AtomicU64,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    started: AtomicU64,
    running: AtomicU64,
    failed: AtomicU64,
    timed_out: AtomicU64,
    dropped: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Children {
    pub fn start(notes: Arc<Notes>) -> io::Result<Self> {
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let shared = Arc::new(Shared {
            wake,
            stop: AtomicBool::new(false),
            unfinished: AtomicU64::new(0),
            counts: Counts::default(),
        });
        let (orders, taken) = sync_channel(MAX_WAITING);
        let thread = std::thread::Builder::new().name("programs".into()).spawn({
            let shared = shared.clone();
            move || Keeper { shared: &shared, notes, children: Vec::new() }.run(&taken)
        })?;
        Ok(Self { orders, shared, thread: Mutex::new(Some(thread)) })
    }

    /// Never waits; false when there was no room, which is counted.
    pub fn submit(&self, order: Order) -> bool {
        // before it is sent: it may be finished when `try_send` returns
        self.shared.unfinished.fetch_add(1, Ordering::AcqRel);
        let sent = self.orders.try_send(order).is_ok();
        if sent {
            let _ = self.shared.wake.write(1); // full means it will wake anyway
        } else {
            self.shared.finished();
            count(&self.shared.counts.dropped);
        }
        sent
    }

    /// Whether all that was taken in is carried out, and every command has ended.
    /// Applications are not waited for.
    pub fn is_idle(&self) -> bool {
        self.shared.unfinished.load(Ordering::Acquire) == 0
    }

    /// Kills the commands that run and lets applications live; returns when the thread has ended.
    pub fn close(&self) {
        self.shared.stop.store(true, Ordering::Release);
        let _ = self.shared.wake.write(1); // full means it will wake anyway
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join(); // it has nothing to say
        }
    }

    pub fn status(&self) -> ChildrenStatus {
        let Counts { started, running, failed, timed_out, dropped } = &self.shared.counts;
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ChildrenStatus {
            started: load(started),
            running: load(running),
            failed: load(failed),
            timed_out: load(timed_out),
            dropped: load(dropped),
        }
    }
}

impl Shared {
    fn finished(&self) {
        self.unfinished.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        self.close();
    }
}

/// A process that has not been reaped yet, so its number, also its group's, is still its own.
struct Child {
    pid: Pid,
    handle: PidFd,
    shown: String,
    /// When it is killed; applications never are.
    deadline: Option<Time>,
    killed: bool,
}

impl Child {
    fn kill_group(&mut self) {
        // the group may be empty but for the zombie; there is nothing else to do about an error
        let _ = killpg(self.pid, Signal::SIGKILL);
        self.killed = true;
    }
}

struct Keeper<'a> {
    shared: &'a Shared,
    notes: Arc<Notes>,
    children: Vec<Child>,
}

impl Keeper<'_> {
    fn run(mut self, orders: &Receiver<Order>) {
        while !self.shared.stop.load(Ordering::Acquire) {
            self.wait();
            let _ = self.shared.wake.read(); // empty when a child ended
            for order in orders.try_iter() {
                if !self.carry_out(order) {
                    self.shared.finished();
                }
            }
            self.kill_late(now());
            self.reap();
        }
        // their timeouts could not be kept any more
        for child in self.children.iter_mut().filter(|child| child.deadline.is_some()) {
            child.kill_group();
        }
    }

    /// Waits for an order, a child's end or the next timeout.
    fn wait(&self) {
        let due = self.children.iter().filter(|child| !child.killed).filter_map(|child| child.deadline).min();
        let timeout = due.map_or(PollTimeout::NONE, |due| {
            let millis = due.since(now()).as_millis() + 1;
            PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
        });
        let mut fds = vec![PollFd::new(self.shared.wake.as_fd(), PollFlags::POLLIN)];
        fds.extend(self.children.iter().map(|child| PollFd::new(child.handle.as_fd(), PollFlags::POLLIN)));
        let _ = poll(&mut fds, timeout); // whatever woke it, everything is looked at
    }

    /// Whether a command runs now whose end is waited for.
    fn carry_out(&mut self, order: Order) -> bool {
        let is_command = matches!(order, Order::Shell(_));
        let (limit, what) =
            if is_command { (MAX_COMMANDS, "commands") } else { (MAX_LAUNCHED, "launched applications") };
        let (argv, timeout) = match order {
            Order::Shell(Shell { argv, timeout }) => (argv, Some(timeout)),
            Order::Launch(application) => (vec![application.to_string()], None),
        };
        let shown = show(&argv);
        if self.children.iter().filter(|child| child.deadline.is_some() == is_command).count() >= limit {
            count(&self.shared.counts.dropped);
            self.notes.tell(now(), &format!("{shown} was not started: {limit} {what} run already"));
            return false;
        }
        let started = match spawn(&argv) {
            // an application with arguments
            Err(error) if !is_command && error.kind() == io::ErrorKind::NotFound && argv[0].contains(' ') => {
                spawn(&argv[0].split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            }
            result => result,
        };
        match started {
            Ok((pid, handle)) => {
                count(&self.shared.counts.started);
                count(&self.shared.counts.running);
                let deadline = timeout.map(|timeout| now() + timeout);
                self.children.push(Child { pid, handle, shown, deadline, killed: false });
                is_command
            }
            Err(error) => {
                count(&self.shared.counts.failed);
                self.notes.tell(now(), &format!("{shown} could not be started: {error}"));
                false
            }
        }
    }

    fn kill_late(&mut self, at: Time) {
        for child in &mut self.children {
            if !child.killed && child.deadline.is_some_and(|deadline| deadline <= at) {
                child.kill_group();
                count(&self.shared.counts.timed_out);
                self.notes.tell(at, &format!("{} was killed: it took longer than it may", child.shown));
            }
        }
    }

    fn reap(&mut self) {
        let Self { shared, notes, children } = self;
        children.retain(|child| {
            let failure = match child.handle.reap() {
                Ok(None) => return true,
                Ok(Some(ProcessEnd::Exited(0))) => None,
                Ok(Some(ProcessEnd::Exited(code))) => Some(format!("ended with exit code {code}")),
                Ok(Some(ProcessEnd::Signaled(signal))) => Some(format!("was ended by {signal}")),
                Ok(Some(ProcessEnd::RealTimeSignal(number))) => Some(format!("was ended by signal {number}")),
                Err(Errno::EINTR) => return true,
                Err(error) => Some(format!("cannot be waited for: {error}")),
            };
            shared.counts.running.fetch_sub(1, Ordering::Relaxed);
            if let Some(how) = failure.filter(|_| !child.killed) {
                count(&shared.counts.failed);
                notes.tell(now(), &format!("{} {how}", child.shown));
            }
            if child.deadline.is_some() {
                shared.finished();
            }
            false
        });
    }
}

/// Starts a program in a process group of its own, without input or output.
fn spawn(argv: &[String]) -> io::Result<(Pid, PidFd)> {
    let (program, arguments) = argv.split_first().ok_or_else(|| io::Error::other("the command is empty"))?;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    // midir's pipes would be the program's too
    close_others_on_exec();
    let mut child = command.spawn()?;
    let pid = Pid::from_raw(child.id() as i32); // cannot wrap: the kernel's numbers fit
    match PidFd::open(pid) {
        Ok(handle) => Ok((pid, handle)),
        Err(error) => {
            // without a handle its end would go unnoticed
            let _ = killpg(pid, Signal::SIGKILL);
            let _ = child.wait();
            Err(error.into())
        }
    }
}

/// The command as it is told to people, cut if long.
fn show(argv: &[String]) -> String {
    let mut line: String = argv.join(" ").chars().map(|c| if c.is_control() { ' ' } else { c }).take(61).collect();
    if line.chars().count() > 60 {
        line = line.chars().take(59).chain(['…']).collect();
    }
    format!("\"{line}\"")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ended, eventually, pid_in};
    use std::path::Path;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    fn children() -> (Children, std::sync::mpsc::Receiver<String>) {
        let (noted, notes) = channel();
        let noted = Mutex::new(noted);
        let told = Arc::new(Notes::new(Arc::new(move |text| drop(noted.lock().unwrap().send(text)))));
        (Children::start(told).unwrap(), notes)
    }

    fn shell(command: &str, timeout: Duration) -> Order {
        Order::Shell(Shell { argv: vec!["sh".into(), "-c".into(), command.into()], timeout })
    }

    const LONG: Duration = Duration::from_secs(60);

    fn until(children: &Children, done: impl Fn(ChildrenStatus) -> bool) -> ChildrenStatus {
        let look = || Some(children.status()).filter(|status| done(*status)).ok_or_else(|| children.status());
        eventually("a status", look)
    }

    fn exists(pid: &str) -> bool {
        Path::new("/proc").join(pid).exists()
    }

    #[test]
    fn a_command_runs_without_input_and_is_reaped() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pid");
        let (children, _notes) = children();
        // cat ends only when there is nothing to read
        children.submit(shell(&format!("cat; echo $$ > {}", file.display()), LONG));
        let status = until(&children, |status| status.started == 1 && status.running == 0);
        assert_eq!(status, ChildrenStatus { started: 1, ..ChildrenStatus::default() });
        assert!(!exists(&pid_in(&file)));
    }

    #[test]
    fn a_command_that_takes_too_long_is_killed_with_all_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pid");
        let (children, notes) = children();
        let command = format!("sleep 1000 & echo $! > {}; wait", file.display());
        children.submit(shell(&command, Duration::from_secs(1)));
        let grandchild = pid_in(&file);
        let status = until(&children, |status| status.timed_out == 1 && status.running == 0);
        assert_eq!((status.started, status.failed), (1, 0));
        assert!(notes.recv().unwrap().contains("it took longer than it may"));
        ended(&grandchild);
    }

    #[test]
    fn failures_are_counted_and_told_with_the_command() {
        let (children, notes) = children();
        children.submit(shell("exit 3", LONG));
        assert_eq!(notes.recv().unwrap(), "\"sh -c exit 3\" ended with exit code 3");
        children.submit(shell("kill -9 $$", LONG));
        assert_eq!(notes.recv().unwrap(), "\"sh -c kill -9 $$\" was ended by SIGKILL");
        children.submit(Order::Launch("/nonexistent program".into()));
        assert!(notes.recv().unwrap().starts_with("\"/nonexistent program\" could not be started: "));
        assert_eq!(until(&children, |status| status.running == 0).failed, 3);
    }

    #[test]
    fn all_is_over_when_commands_have_ended_however_that_was_but_applications_may_run_on() {
        let directory = tempfile::tempdir().unwrap();
        let (script, file) = (directory.path().join("app"), directory.path().join("go on"));
        std::fs::write(&script, "exec sleep 30").unwrap();
        let (children, notes) = children();
        assert!(children.is_idle());
        children.submit(shell(&format!("until test -e '{}'; do sleep 0.01; done", file.display()), LONG));
        children.submit(shell("exit 3", LONG));
        children.submit(Order::Launch("/nonexistent".into()));
        children.submit(Order::Launch(format!("sh {}", script.display()).into()));
        until(&children, |status| status.started == 3 && status.failed == 2 && status.running == 2);
        assert!(!children.is_idle(), "one waits for the file");
        std::fs::write(&file, "").unwrap();
        eventually("all is over", || if children.is_idle() { Ok(()) } else { Err(children.status()) });
        assert_eq!(children.status().running, 1, "the application");
        assert_eq!(notes.try_iter().count(), 2);
    }

    #[test]
    fn too_many_commands_at_once_are_dropped_and_the_others_run_on() {
        let (children, notes) = children();
        for _ in 0..MAX_COMMANDS + 1 {
            children.submit(shell("sleep 1000", LONG));
        }
        assert!(notes.recv().unwrap().contains("32 commands run already"));
        let status = until(&children, |status| status.dropped == 1);
        assert_eq!(status.running as usize, MAX_COMMANDS);
    }

    #[test]
    fn the_end_kills_commands_and_lets_applications_live() {
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("app");
        let file = directory.path().join("pid");
        std::fs::write(&script, format!("echo $$ > {}; exec sleep 1000", file.display())).unwrap();
        let (children, _notes) = children();
        children.submit(Order::Launch(format!("sh {}", script.display()).into()));
        let application = pid_in(&file);
        drop(children);
        assert!(exists(&application));
        let pid: i32 = application.parse().unwrap();
        nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap(); // its parent, this test, still lives
    }

    #[test]
    fn a_command_inherits_no_descriptors_of_ours() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("fds");
        // what a library left open
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let (children, _notes) = children();
        children.submit(shell(&format!("ls /proc/self/fd > {}", file.display()), LONG));
        until(&children, |status| status.started == 1 && status.running == 0);
        // 3 is the listing's own
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "0\n1\n2\n3\n");
        drop((reader, writer));
    }

    #[test]
    fn commands_are_shown_on_one_line_of_bounded_length() {
        assert_eq!(show(&["a\nb".into(), "c".into()]), "\"a b c\"");
        assert_eq!(show(&["x".repeat(1000)]).chars().count(), 62);
    }
}
