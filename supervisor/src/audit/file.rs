//! The files: appended to, and at 1 MiB put aside, so that there are two for each plugin.
//!
//! What is deleted then are lines of files and uses only. Grants, starts, ends and
//! violations are carried over, or a plugin could hide them behind a flood.

use super::event::{AuditEvent, Entry};
use super::file_name;
use crate::home::{private_dir, write_atomic};
use midimon_shared::PluginId;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Size at which a log becomes `ID.jsonl.1` and a new one is begun, in bytes.
pub(super) const ROTATE_AT: u64 = 1024 * 1024;
/// Bytes of lines that are carried over at most, the newest ones.
const CARRIED: usize = 256 * 1024;
/// Largest log put aside: what was carried, a full log and its last line.
const LARGEST: u64 = 2 * ROTATE_AT;

/// The directory of all logs, ours alone.
#[derive(Debug)]
pub(super) struct AuditDir(PathBuf);

impl AuditDir {
    pub fn open(path: &Path) -> io::Result<Self> {
        private_dir(path).map_err(io::Error::other)?;
        Ok(Self(path.to_owned()))
    }

    pub fn open_log(&self, plugin: &PluginId) -> io::Result<AuditFile> {
        AuditFile::open(self.0.join(file_name(plugin)))
    }

    fn grants(&self, plugin: &PluginId) -> PathBuf {
        self.0.join(format!("{plugin}.grants"))
    }

    /// The grants that were recorded last; none when that cannot be told, so that
    /// they are recorded once too often and never once too little.
    pub fn read_grants(&self, plugin: &PluginId) -> BTreeSet<String> {
        let Ok(file) = File::open(self.grants(plugin)) else { return BTreeSet::new() };
        let mut text = String::new();
        match file.take(ROTATE_AT).read_to_string(&mut text) {
            Ok(_) => serde_json::from_str(&text).unwrap_or_default(),
            Err(_) => BTreeSet::new(),
        }
    }

    pub fn write_grants(&self, plugin: &PluginId, grants: &BTreeSet<String>) -> io::Result<()> {
        write_atomic(&self.grants(plugin), &serde_json::to_vec(grants)?, 0o600)
    }
}

/// One plugin's log.
#[derive(Debug)]
pub(super) struct AuditFile {
    path: PathBuf,
    file: File,
    size: u64,
}

impl AuditFile {
    fn open(path: PathBuf) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(&path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::other(format!("'{}' is no file; move it away", path.display())));
        }
        let mut size = metadata.len();
        if size > 0 {
            // a full disk or a power cut may have left half a line
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
                size += 1;
            }
        }
        Ok(Self { path, file, size })
    }

    /// Appends a line.
    pub fn write(&mut self, entry: &Entry) -> io::Result<()> {
        if self.size >= ROTATE_AT {
            self.rotate(entry)?;
        }
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.size += line.len() as u64;
        Ok(())
    }

    /// Puts the log aside, behind what must not be lost of the one put aside before.
    fn rotate(&mut self, next: &Entry) -> io::Result<()> {
        let aside = self.path.with_extension("jsonl.1");
        let mut before = Vec::new();
        match OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(&aside) {
            Ok(file) => drop(file.take(LARGEST).read_to_end(&mut before)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let (mut bytes, discarded) = carried(&before);
        if discarded > 0 {
            let event = AuditEvent::Discarded { count: discarded };
            let entry = Entry { time: next.time.clone(), plugin: next.plugin.clone(), event, times: 1 };
            serde_json::to_writer(&mut bytes, &entry)?;
            bytes.push(b'\n');
        }
        self.file.seek(SeekFrom::Start(0))?;
        (&self.file).take(LARGEST).read_to_end(&mut bytes)?;
        write_atomic(&aside, &bytes, 0o600)?;
        fs::remove_file(&self.path)?;
        *self = Self::open(std::mem::take(&mut self.path))?;
        Ok(())
    }
}

/// The lines of a log that are no activity, the newest that fit, and how many others there were.
fn carried(log: &[u8]) -> (Vec<u8>, u64) {
    let mut kept = Vec::new();
    let (mut size, mut discarded) = (0, 0);
    for line in log.split_inclusive(|byte| *byte == b'\n').rev() {
        match serde_json::from_slice::<Entry>(line) {
            Ok(Entry { event: AuditEvent::Discarded { count }, .. }) => discarded += count,
            Ok(entry) if !entry.event.is_activity() && size + line.len() <= CARRIED => {
                size += line.len();
                kept.push(line);
            }
            Ok(entry) => discarded += entry.times,
            Err(_) => discarded += 1,
        }
    }
    kept.reverse();
    (kept.concat(), discarded)
}
