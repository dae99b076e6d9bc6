//! `logs/ID.log`: what workers wrote, on disk, at most 1 MiB twice for each.

use super::log::safe;
use midimon_shared::PluginId;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Size at which a log becomes `ID.log.1` and a new one is begun, in bytes.
const ROTATE_AT: u64 = 1024 * 1024;
/// Lines that wait for the disk at most; more are not written, only kept in memory.
const QUEUE: usize = 4096;

/// Hands lines to the thread that writes them, so that a slow disk delays nobody.
#[derive(Clone, Debug)]
pub struct LogFiles {
    lines: SyncSender<(PluginId, String)>,
}

impl LogFiles {
    /// Starts the thread; the directory must exist.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(directory: PathBuf) -> io::Result<Self> {
        let (lines, receiver) = sync_channel(QUEUE);
        std::thread::Builder::new().name("plugin-logs".into()).spawn(move || write_lines(&directory, &receiver))?;
        Ok(Self { lines })
    }

    /// Takes a line, or lets it go when the disk is behind.
    pub fn write(&self, plugin: &PluginId, line: &str) {
        let _ = self.lines.try_send((plugin.clone(), line.to_owned()));
    }
}

fn write_lines(directory: &Path, lines: &Receiver<(PluginId, String)>) {
    let mut open: HashMap<PluginId, LogFile> = HashMap::new();
    for (plugin, line) in lines {
        if !open.contains_key(&plugin) {
            match LogFile::open(directory.join(format!("{plugin}.log"))) {
                Ok(file) => drop(open.insert(plugin.clone(), file)),
                Err(error) => {
                    tracing::warn!("cannot open the log file of {plugin}: {error}");
                    continue;
                }
            }
        }
        if let Some(file) = open.get_mut(&plugin)
            && let Err(error) = file.write_line(&line)
        {
            tracing::warn!("cannot write the log file of {plugin}: {}", safe(&error.to_string()));
            open.remove(&plugin);
        }
    }
}

struct LogFile {
    path: PathBuf,
    file: File,
    size: u64,
}

impl LogFile {
    fn open(path: PathBuf) -> io::Result<Self> {
        let file =
            OpenOptions::new().append(true).create(true).mode(0o600).custom_flags(libc::O_NOFOLLOW).open(&path)?;
        let size = file.metadata()?.len();
        Ok(Self { path, file, size })
    }

    fn write_line(&mut self, line: &str) -> io::Result<()> {
        if self.size >= ROTATE_AT {
            std::fs::rename(&self.path, self.path.with_extension("log.1"))?;
            *self = Self::open(std::mem::take(&mut self.path))?;
        }
        self.file.write_all(format!("{line}\n").as_bytes())?;
        self.size += line.len() as u64 + 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_log_is_kept_once_and_then_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = LogFile::open(directory.path().join("echo.log")).unwrap();
        let line = "x".repeat(1023);
        for _ in 0..3 * 1024 {
            log.write_line(&line).unwrap();
        }
        let sizes: Vec<u64> = ["echo.log", "echo.log.1"]
            .iter()
            .map(|name| std::fs::metadata(directory.path().join(name)).unwrap().len())
            .collect();
        assert_eq!(sizes, [ROTATE_AT, ROTATE_AT]);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
    }
}
