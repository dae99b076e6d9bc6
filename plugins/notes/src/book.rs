//! The file, and how a line in it looks. Plain std, so that the WASM plugin
//! uses this very file too.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Past this length, in bytes, a new file is begun; one old one is kept.
pub const MAX_BYTES: u64 = 1024 * 1024;
/// Longest action that is written, in characters.
const MAX_ACTION: usize = 100;

/// `notes.txt` in a directory.
#[derive(Debug)]
pub struct Book {
    dir: PathBuf,
    file: File,
    length: u64,
}

impl Book {
    /// Opens it, at its end.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let file = File::options().append(true).create(true).open(dir.join("notes.txt"))?;
        let length = file.metadata()?.len();
        Ok(Self { dir: dir.to_owned(), file, length })
    }

    /// Adds a line, in a new file where this one is full.
    pub fn add(&mut self, line: &str) -> io::Result<()> {
        if self.length + line.len() as u64 > MAX_BYTES {
            fs::rename(self.dir.join("notes.txt"), self.dir.join("notes.old.txt"))?;
            *self = Self::open(&self.dir)?;
        }
        self.file.write_all(line.as_bytes())?;
        self.length += line.len() as u64;
        Ok(())
    }
}

/// One line: when (UTC), which action, what was played.
pub fn line(unix_ms: u64, action: &str, velocity: Option<u8>, note: Option<u8>) -> String {
    let number = |value: Option<u8>| value.map_or("-".to_owned(), |value| value.to_string());
    let action: String = action.chars().take(MAX_ACTION).flat_map(char::escape_debug).collect();
    format!("{} {action} velocity {} note {}\n", time(unix_ms), number(velocity), number(note))
}

/// As RFC 3339 writes it, in UTC.
fn time(unix_ms: u64) -> String {
    let (days, ms) = (unix_ms / 86_400_000, unix_ms % 86_400_000);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", ms % 1000)
}

/// The date that many days after 1970-01-01, by counting from 0000-03-01 in
/// eras of 400 years, so that the leap day is a year's last
/// (https://howardhinnant.github.io/date_algorithms.html#civil_from_days).
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_when_what_and_how_hard() {
        assert_eq!(line(0, "play", Some(100), Some(60)), "1970-01-01T00:00:00.000Z play velocity 100 note 60\n");
        assert_eq!(line(1_709_210_096_789, "a\nb", None, None), "2024-02-29T12:34:56.789Z a\\nb velocity - note -\n");
        assert_eq!(time(951_868_799_999), "2000-02-29T23:59:59.999Z");
        assert_eq!(time(1_735_689_600_000), "2025-01-01T00:00:00.000Z");
    }

    #[test]
    fn a_full_book_is_put_aside_and_never_more_than_two_are_kept() {
        let dir = std::env::temp_dir().join(format!("midimon-notes-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let mut book = Book::open(&dir).unwrap();
        let line = "x".repeat(64 * 1024);
        for _ in 0..40 {
            book.add(&line).unwrap();
        }
        let sizes: Vec<u64> = fs::read_dir(&dir).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).collect();
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(sizes.len(), 2);
        assert!(sizes.iter().all(|&size| 0 < size && size <= MAX_BYTES), "{sizes:?}");
    }
}
