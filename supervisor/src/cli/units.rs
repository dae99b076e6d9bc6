//! Numbers as people read them.

/// Microseconds: `85µs`, `1.24ms`, `3.10s`; a dash before the first answer.
#[must_use]
pub fn micros(micros: u64) -> String {
    match micros {
        0 => "-".to_owned(),
        1..1_000 => format!("{micros}µs"),
        1_000..1_000_000 => format!("{:.2}ms", micros as f64 / 1e3),
        _ => format!("{:.2}s", micros as f64 / 1e6),
    }
}

/// Bytes: `0`, `612B`, `1.2K`, `3.4M`, `5.6G` (powers of 1024).
#[must_use]
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["K", "M", "G", "T", "P"];
    if bytes < 1024 {
        return if bytes == 0 { "0".to_owned() } else { format!("{bytes}B") };
    }
    let (mut value, mut unit) = (bytes as f64 / 1024.0, 0);
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1}{}", UNITS[unit])
}

/// Seconds: `12s`, `3m12s`, `2h05m`, `3d04h`.
#[must_use]
pub fn seconds(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{minutes}m{:02}s", seconds % 60),
        3_600..86_400 => format!("{hours}h{:02}m", minutes % 60),
        _ => format!("{days}d{:02}h", hours % 24),
    }
}

/// `1 mapping`, `2 mappings`.
#[must_use]
pub fn count(number: u64, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well_on_both_sides_of_each_unit() {
        assert_eq!([micros(0), micros(999), micros(1_000)], ["-", "999µs", "1.00ms"]);
        assert_eq!([micros(999_994), micros(3_100_000)], ["999.99ms", "3.10s"]);
        assert_eq!([bytes(0), bytes(1_023), bytes(1_024)], ["0", "1023B", "1.0K"]);
        assert_eq!([bytes(1_048_575), bytes(u64::MAX)], ["1.0M", "16384.0P"]);
        assert_eq!([seconds(59), seconds(60), seconds(3_599)], ["59s", "1m00s", "59m59s"]);
        assert_eq!([seconds(7_500), seconds(273_600)], ["2h05m", "3d04h"]);
        assert_eq!([count(0, "call"), count(1, "call"), count(2, "call")], ["0 calls", "1 call", "2 calls"]);
    }
}
