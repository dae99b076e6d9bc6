//! Where the daemon's own log goes.

use super::{CliError, output};
use crate::daemon::RunOptions;
use crate::mapping::load_file;
use nix::sys::signal::{SigSet, SigmaskHow};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Starts the log. The level is the one asked for, else `MIDIMON_LOG`, else the
/// configuration's, else info; it goes to the configuration's file or to standard error.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn start(level: Option<LevelFilter>, options: &RunOptions) -> Result<LogGuard, CliError> {
    let path = options.config.clone().unwrap_or_else(|| options.home.config_file());
    // what is wrong with the configuration is for the daemon to say, in this log
    let logging = load_file(&path).map(|loaded| loaded.logging).unwrap_or_default();
    let configured = logging.level.and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    let filter = match level {
        Some(level) => EnvFilter::default().add_directive(level.into()),
        None => {
            EnvFilter::builder().with_default_directive(configured.into()).with_env_var("MIDIMON_LOG").from_env_lossy()
        }
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    let sink: Box<dyn Write + Send> = match &logging.file {
        None => Box::new(io::stderr()),
        Some(file) => {
            let file = beside(&path, Path::new(file));
            let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(&file);
            let opened = opened.map_err(|error| {
                CliError::Failed(format!("cannot write `file` under [logging], '{}': {error}", file.display()))
            })?;
            Box::new(opened)
        }
    };
    let coloured = logging.file.is_none() && output::coloured_stderr();
    let (lines, receiver) = sync_channel(QUEUE);
    let queue = Queue { lines, lost: Arc::default() };
    let lost = queue.lost.clone();
    let failed = |error: io::Error| CliError::Failed(format!("cannot start the log's thread: {error}"));
    // no signal may be delivered to this thread: the daemon blocks its own only later
    let mask = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK).map_err(|errno| failed(errno.into()))?;
    let started = std::thread::Builder::new().name("log".into()).spawn(move || write_lines(sink, &receiver, &lost));
    mask.thread_set_mask().map_err(|errno| failed(errno.into()))?;
    started.map_err(failed)?;
    let guard = LogGuard { lines: queue.lines.clone() };
    log.with_writer(move || queue.clone()).with_ansi(coloured).init();
    Ok(guard)
}

/// Lines that wait for a terminal or disk that does not take them.
const QUEUE: usize = 1024;
/// How long the end of the program waits for the last lines.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

enum Entry {
    Line(Vec<u8>),
    Flush(SyncSender<()>),
}

/// Takes lines without ever waiting: the threads that log are those that must not.
#[derive(Clone)]
struct Queue {
    lines: SyncSender<Entry>,
    lost: Arc<AtomicU64>,
}

impl Write for Queue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_)) = self.lines.try_send(Entry::Line(line.to_vec())) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_lines(mut sink: impl Write, entries: &Receiver<Entry>, lost: &AtomicU64) {
    for entry in entries {
        // nobody can be told that the log cannot be written
        match entry {
            Entry::Line(line) => {
                let _ = sink.write_all(&line);
                match lost.swap(0, Ordering::Relaxed) {
                    0 => {}
                    count => drop(writeln!(sink, "… {count} lines of the log were lost here")),
                }
            }
            Entry::Flush(done) => {
                let _ = sink.flush();
                let _ = done.send(());
            }
        }
    }
}

/// Dropping it waits until what was logged is written, a second at most.
pub(super) struct LogGuard {
    lines: SyncSender<Entry>,
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        let (done, written) = sync_channel(1);
        if self.lines.try_send(Entry::Flush(done)).is_ok() {
            let _ = written.recv_timeout(FLUSH_LIMIT);
        }
    }
}

/// Relative paths in a configuration start at its folder.
fn beside(config: &Path, file: &Path) -> PathBuf {
    config.parent().map_or_else(|| file.to_owned(), |folder| folder.join(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_nobody_reads_loses_lines_and_says_how_many_and_never_waits() {
        let (lines, receiver) = sync_channel(2);
        let mut queue = Queue { lines, lost: Arc::default() };
        for number in 0..5 {
            queue.write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        let lost = queue.lost.clone();
        drop(queue);
        let mut written = Vec::new();
        write_lines(&mut written, &receiver, &lost);
        assert_eq!(String::from_utf8(written).unwrap(), "0\n… 3 lines of the log were lost here\n1\n");
    }

    #[test]
    fn a_relative_log_file_lies_beside_the_configuration() {
        assert_eq!(beside(Path::new("/h/config.toml"), Path::new("a.log")), Path::new("/h/a.log"));
        assert_eq!(beside(Path::new("/h/config.toml"), Path::new("/var/a.log")), Path::new("/var/a.log"));
        assert_eq!(beside(Path::new("config.toml"), Path::new("a.log")), Path::new("a.log"));
    }
}
