//! The end of a log file, and what is written to it from then on.

use super::CliError;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often files are looked at while following.
pub(super) const POLL: Duration = Duration::from_millis(200);

/// Bytes from a file's end that are looked at for its last lines.
const TAIL: u64 = 256 * 1024;

/// Longest line that is put together while following, in bytes.
const LONGEST_LINE: usize = 64 * 1024;

/// Says that a file or folder cannot be read, and why.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> CliError {
    CliError::Failed(format!("cannot read '{}': {error}", path.display()))
}

/// Where a full log is put aside.
fn aside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".1");
    name.into()
}

/// A file that grows and is put aside for a new one now and then.
#[derive(Debug, Default)]
pub(super) struct Log {
    file: Option<File>,
    partial: Vec<u8>,
}

impl Log {
    /// The last lines of a log (and of the one put aside before it), ready to follow.
    pub fn open_at_tail(path: &Path, wanted: usize) -> io::Result<(Self, Vec<String>)> {
        let mut file = File::open(path)?;
        let mut lines = last_lines(&mut file, wanted)?;
        if lines.len() < wanted
            && let Ok(mut older) = File::open(aside(path))
        {
            let before = last_lines(&mut older, wanted - lines.len())?;
            lines.splice(0..0, before);
        }
        Ok((Self { file: Some(file), partial: Vec::new() }, lines))
    }

    /// Complete lines written since the last look.
    pub fn new_lines(&mut self, path: &Path) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        if let Some(file) = &mut self.file {
            take_lines(file, &mut self.partial, &mut lines)?;
            let (ours, current) = (file.metadata()?, std::fs::metadata(path)?);
            let replaced = ours.ino() != current.ino() || ours.dev() != current.dev();
            if !replaced && current.len() >= file.stream_position()? {
                return Ok(lines);
            }
            self.partial.clear();
        }
        let file = self.file.insert(File::open(path)?);
        take_lines(file, &mut self.partial, &mut lines)?;
        Ok(lines)
    }
}

/// Reads to the present end; what follows the last newline waits in `partial`.
fn take_lines(file: &mut File, partial: &mut Vec<u8>, lines: &mut Vec<String>) -> io::Result<()> {
    let mut chunk = [0; 16 * 1024];
    loop {
        let count = file.read(&mut chunk)?;
        if count == 0 {
            return Ok(());
        }
        for part in chunk[..count].split_inclusive(|byte| *byte == b'\n') {
            let (text, ends) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            let room = LONGEST_LINE.saturating_sub(partial.len());
            partial.extend_from_slice(&text[..text.len().min(room)]);
            if ends {
                lines.push(String::from_utf8_lossy(partial).into_owned());
                partial.clear();
            }
        }
    }
}

fn last_lines(file: &mut File, wanted: usize) -> io::Result<Vec<String>> {
    let end = file.seek(SeekFrom::End(0))?;
    let begin = end.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(begin))?;
    let mut bytes = Vec::new();
    file.by_ref().take(TAIL).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    // where it begins in the middle of a line, that line is none
    let lines: Vec<&str> = text.lines().skip(usize::from(begin > 0)).collect();
    Ok(lines[lines.len().saturating_sub(wanted)..].iter().map(|line| (*line).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::io::Write;

    fn append(path: &Path, text: &str) {
        OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn the_last_lines_reach_back_into_the_log_put_aside() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("echo.log");
        append(&temp.path().join("echo.log.1"), "one\ntwo\n");
        append(&path, "three\n");
        assert_eq!(Log::open_at_tail(&path, 2).unwrap().1, ["two", "three"]);
        assert_eq!(Log::open_at_tail(&path, 9).unwrap().1, ["one", "two", "three"]);
        assert!(Log::open_at_tail(&path, 0).unwrap().1.is_empty());
    }

    #[test]
    fn a_large_log_is_read_from_its_end_only() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("echo.log");
        append(&path, &"0123456789\n".repeat(100_000));
        let (_, lines) = Log::open_at_tail(&path, usize::MAX).unwrap();
        assert!(lines.iter().all(|line| line == "0123456789") && lines.len() as u64 <= TAIL / 11);
    }

    #[test]
    fn following_gives_whole_lines_once_and_goes_on_after_a_rotation() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("echo.log");
        append(&path, "old\n");
        let (mut log, _) = Log::open_at_tail(&path, 0).unwrap();
        append(&path, "a\nhal");
        assert_eq!(log.new_lines(&path).unwrap(), ["a"]);
        append(&path, "f\n");
        assert_eq!(log.new_lines(&path).unwrap(), ["half"]);
        append(&path, "last of the old\n");
        std::fs::rename(&path, temp.path().join("echo.log.1")).unwrap();
        append(&path, "first of the new\n");
        assert_eq!(log.new_lines(&path).unwrap(), ["last of the old", "first of the new"]);
        assert!(log.new_lines(&path).unwrap().is_empty());
    }
}
