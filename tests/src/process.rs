//! Processes, looked at from outside.

use std::fs;

/// A process that is not confused with a later one of the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    /// When it was started, in clock ticks since boot.
    started: u64,
}

/// What the kernel says about a process in one line.
struct Stat {
    state: char,
    parent: i32,
    started: u64,
}

impl Stat {
    fn read(pid: i32) -> Option<Self> {
        let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // the name in parentheses can contain anything, so count from its end
        let fields: Vec<&str> = line.rsplit_once(") ")?.1.split(' ').collect();
        Some(Self {
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }
}

impl Process {
    /// The process that has this id now.
    #[must_use]
    pub fn of(pid: i32) -> Option<Self> {
        Stat::read(pid).map(|stat| Self { pid, started: stat.started })
    }

    fn stat(&self) -> Option<Stat> {
        Stat::read(self.pid).filter(|stat| stat.started == self.started)
    }

    /// Whether it runs, or is stopped; a zombie does not.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.stat().is_some_and(|stat| !matches!(stat.state, 'Z' | 'X'))
    }

    /// Whether a signal has stopped it, and none let it go on.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stat().is_some_and(|stat| stat.state == 'T')
    }

    /// Whether it has ended and nobody has asked how.
    #[must_use]
    pub fn is_zombie(&self) -> bool {
        self.stat().is_some_and(|stat| stat.state == 'Z')
    }

    /// The processes it started that are still there, zombies included.
    #[must_use]
    pub fn children(&self) -> Vec<Self> {
        let mut children: Vec<Self> = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(|pid| Some((pid, Stat::read(pid)?)))
            .filter(|(_, stat)| stat.parent == self.pid)
            .map(|(pid, stat)| Self { pid, started: stat.started })
            .collect();
        children.sort();
        children
    }

    /// What each of its open descriptors is, sorted.
    #[must_use]
    pub fn descriptors(&self) -> Vec<String> {
        let mut targets: Vec<String> = fs::read_dir(format!("/proc/{}/fd", self.pid))
            .into_iter()
            .flatten()
            .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            // numbers of pipes and sockets change with every restart
            .map(|target| target.to_string_lossy().chars().take_while(|&c| c != '[').collect())
            .collect();
        targets.sort();
        targets
    }

    /// A field of `/proc/PID/status` in KiB or as a plain number, such as `RssAnon`.
    #[must_use]
    pub fn status_field(&self, name: &str) -> Option<u64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid)).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse().ok()
    }

    /// Private memory in KiB; 0 when it has ended.
    #[must_use]
    pub fn private_kib(&self) -> u64 {
        self.status_field("RssAnon").unwrap_or(0)
    }
}
