//! Points in time as files state them: RFC 3339, UTC, whole seconds.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

/// A second of the calendar, written `2026-01-31T23:59:59Z`, from 1970 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// The first second of the year 10000.
const END: u64 = 253_402_300_800;

/// Why a text is no [`Timestamp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is no time; write it as 2026-01-31T23:59:59Z (UTC, years 1970 to 9999)")]
pub struct InvalidTimestamp;

impl Timestamp {
    /// This second.
    #[must_use]
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// Seconds since the Unix epoch.
    #[must_use]
    pub const fn unix_seconds(self) -> u64 {
        self.0
    }

    /// That many seconds after the Unix epoch; the last of the year 9999 where it is later.
    #[must_use]
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self(if seconds < END { seconds } else { END - 1 })
    }

    /// The time from `earlier` to this, zero when `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

impl From<SystemTime> for Timestamp {
    /// A clock before 1970 is a clock that is not set.
    fn from(time: SystemTime) -> Self {
        Self::from_unix_seconds(time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.0 / 86_400);
        let (hour, minute, second) = (self.0 / 3600 % 24, self.0 / 60 % 60, self.0 % 60);
        formatter.pad(&format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let number = |from: usize, to: usize| -> Option<u64> {
            let digits = text.get(from..to)?;
            digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
        };
        let read = || {
            let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
            let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
            let leaps = |year: u64| year / 4 - year / 100 + year / 400;
            let years = year.checked_sub(1970)? * 365 + leaps(year.checked_sub(1)?) - leaps(1969);
            let before_month = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334];
            let is_leap = leaps(year) > leaps(year.checked_sub(1)?);
            let in_year = before_month.get(usize::try_from(month.checked_sub(1)?).ok()?)?;
            let days = years + in_year + u64::from(is_leap && month > 2) + day.checked_sub(1)?;
            Some(Self(days * 86_400 + hour * 3600 + minute * 60 + second))
        };
        // written back it must be the same: this refuses the 31st of February and a 25th hour
        read().filter(|read| read.0 < END && read.to_string() == text).ok_or(InvalidTimestamp)
    }
}

impl serde::Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The date that many days after 1970-01-01: years of 365 or 366 days, then months, are taken away.
pub(crate) fn date(mut days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    // the calendar repeats every 400 years
    let mut year = 1970 + days / 146_097 * 400;
    days %= 146_097;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_survive_their_text() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2000-02-29T23:59:59Z",
            "2024-02-29T12:34:56Z",
            "2024-12-31T00:00:00Z",
            "2100-03-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), text);
        }
        assert_eq!("2025-01-01T00:00:00Z".parse::<Timestamp>().unwrap().unix_seconds(), 1_735_689_600);
    }

    #[test]
    fn what_is_no_second_of_the_calendar_is_refused() {
        for text in [
            "",
            "2025-02-29T00:00:00Z",
            "2025-01-01T24:00:00Z",
            "2025-01-01T00:00:60Z",
            "2025-00-01T00:00:00Z",
            "2025-01-00T00:00:00Z",
            "2025-13-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "0000-01-01T00:00:00Z",
            "2025-01-01 00:00:00Z",
            "2025-01-01T00:00:00z",
            "2025-01-01T00:00:00+00:00",
            "2025-01-01T00:00:00Z\n",
            "+025-01-01T00:00:00Z",
            "2025-01-01T00:00:0\u{661}Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_second_survives_its_text_and_no_other_text_is_one(seconds in 0..END, text in "[0-9T:Z-]{0,22}") {
            let at = Timestamp::from_unix_seconds(seconds);
            prop_assert_eq!(at.to_string().parse(), Ok(at));
            if let Ok(read) = text.parse::<Timestamp>() {
                prop_assert_eq!(read.to_string(), text);
            }
        }
    }
}
