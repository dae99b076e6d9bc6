//! `start` and `stop`: the daemon in the background.

use super::run::Daemon;
use super::safe_text::safe_text;
use super::{CliError, Context};
use crate::control::client::{Client, ClientError};
use crate::control::model::Status;
use crate::control::protocol::Request;
use crate::home::{Holder, HomeError, Lock};
use clap::Args;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a daemon may take until its control socket answers.
const STARTS_WITHIN: Duration = Duration::from_secs(30);

/// How long it may take to end: plugins get 2 s, the rest is quick.
const STOPS_WITHIN: Duration = Duration::from_secs(15);

const POLL: Duration = Duration::from_millis(20);

/// Size at which the next start begins a new log, in bytes.
const ROTATE_AT: u64 = 1024 * 1024;

/// Bytes and lines of the log that are shown when the start fails.
const TAIL: (u64, usize) = (16 * 1024, 20);

/// `midimon start`
#[derive(Debug, Args)]
#[command(after_help = "\
It takes the same options as `midimon run`, and returns when the daemon answers.

Examples:
  midimon start
  midimon start --input hardware:nanoPAD2")]
pub struct Start {
    #[command(flatten)]
    daemon: Daemon,
}

impl Start {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        if let Holder::Daemon { pid } = Lock::holder(&context.home) {
            return Err(HomeError::AlreadyRunning { pid }.into());
        }
        context.home.prepare()?;
        let path = context.home.daemon_log();
        let failed = |error: std::io::Error| CliError::Failed(format!("cannot start the daemon: {error}"));
        let mut log = open_log(&path)
            .map_err(|error| CliError::Failed(format!("cannot write the log '{}': {error}", path.display())))?;
        let begin = log.seek(SeekFrom::End(0)).map_err(failed)?;

        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        if let Some(home) = context.home.explicit() {
            command.arg("--home").arg(home);
        }
        command.args(["run", "--detached"]).args(self.daemon.to_arguments().map_err(failed)?);
        // not where it happens to be started: that directory may be unmounted or removed one day
        command.current_dir(dirs::home_dir().filter(|home| home.is_dir()).unwrap_or_else(|| PathBuf::from("/")));
        command.stdin(Stdio::null()).stdout(log.try_clone().map_err(failed)?).stderr(log);
        let mut child = command.spawn().map_err(failed)?;
        match wait_until_it_answers(context, &mut child) {
            Ok(()) => context.out.line(&format!("midimon started: pid {}, log {}", child.id(), path.display())),
            Err(reason) => {
                let _ = child.kill(); // it may have ended by itself
                let _ = child.wait();
                Err(CliError::Failed(format!("the daemon {reason}{}", tail(&path, begin))))
            }
        }
    }
}

fn wait_until_it_answers(context: &Context, child: &mut Child) -> Result<(), String> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(|error| format!("cannot be watched: {error}"))? {
            return Err(format!("ended at once ({status})"));
        }
        let answer = Client::connect(&context.home).and_then(|mut client| client.call::<Status>(&Request::Status));
        if answer.is_ok_and(|status| u32::try_from(status.pid) == Ok(child.id())) {
            return Ok(());
        }
        if start.elapsed() > STARTS_WITHIN {
            return Err(format!("did not answer within {} s", STARTS_WITHIN.as_secs()));
        }
        std::thread::sleep(POLL);
    }
}

fn open_log(path: &Path) -> std::io::Result<File> {
    if std::fs::symlink_metadata(path).is_ok_and(|log| log.len() > ROTATE_AT) {
        std::fs::rename(path, path.with_extension("log.1"))?;
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path)
}

/// The log's last lines since `begin`.
fn tail(path: &Path, begin: u64) -> String {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|mut log| {
        let end = log.seek(SeekFrom::End(0))?;
        log.seek(SeekFrom::Start(begin.max(end.saturating_sub(TAIL.0))))?;
        log.take(TAIL.0).read_to_end(&mut bytes)
    });
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    match read {
        Ok(_) if lines.is_empty() => format!("; its log is empty: {}", path.display()),
        Ok(_) => {
            let last = lines[lines.len().saturating_sub(TAIL.1)..].iter().map(|line| safe_text(line).into_owned());
            format!("; its log ({}) ends with\n{}", path.display(), last.collect::<Vec<_>>().join("\n"))
        }
        Err(error) => format!("; its log cannot be read: {error}"),
    }
}

/// `midimon stop`
#[derive(Debug, Args)]
pub struct Stop {}

impl Stop {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let holder = Lock::holder(&context.home);
        let mut client = context.connect()?;
        match client.call::<()>(&Request::Stop) {
            // it may be gone before its answer is read
            Ok(()) | Err(ClientError::HungUp) => {}
            Err(error) => return Err(error.into()),
        }
        let pid = match holder {
            Holder::Daemon { pid: Some(pid) } => format!(" (pid {pid})"),
            _ => String::new(),
        };
        let start = Instant::now();
        while Lock::holder(&context.home) != Holder::Nobody {
            if start.elapsed() > STOPS_WITHIN {
                let message =
                    format!("the daemon{pid} did not stop within {} s: end it with SIGKILL", STOPS_WITHIN.as_secs());
                return Err(CliError::Failed(message));
            }
            std::thread::sleep(POLL);
        }
        context.out.line(&format!("midimon stopped{pid}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_what_this_start_wrote_and_made_safe() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("log");
        std::fs::write(&path, "older\n").unwrap();
        assert!(tail(&path, 6).contains("is empty"));
        let lines: String = (0..30).map(|line| format!("line {line}\n")).collect();
        std::fs::write(&path, format!("older\n{lines}evil \x1b[2J\n")).unwrap();
        let shown = tail(&path, 6);
        assert!(!shown.contains("older") && !shown.contains("line 9\n"), "{shown}");
        assert!(shown.contains("line 29\n") && shown.ends_with("evil \\u{1b}[2J"), "{shown}");
    }

    #[test]
    fn a_large_log_is_put_aside_and_a_link_in_its_place_refused() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("_daemon.log");
        std::fs::write(&path, vec![b'x'; ROTATE_AT as usize + 1]).unwrap();
        assert_eq!(open_log(&path).unwrap().metadata().unwrap().len(), 0);
        assert!(temp.path().join("_daemon.log.1").exists());
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(temp.path().join("elsewhere"), &path).unwrap();
        assert!(open_log(&path).is_err());
    }
}
