//! One bar a row: what was measured, what it must reach, and whether it does.

use serde::{Serialize, Serializer};
use std::fmt;
use std::path::Path;

/// What a value must reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reach {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
}

impl Reach {
    fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtMost(limit) => value <= limit,
            Self::AtLeast(limit) => value >= limit,
        }
    }
}

impl fmt::Display for Reach {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(formatter, "≤ {}", number(*limit)),
            Self::AtLeast(limit) => write!(formatter, "≥ {}", number(*limit)),
        }
    }
}

impl Serialize for Reach {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::AtMost(limit) | Self::AtLeast(limit) => limit.serialize(serializer),
        }
    }
}

/// One row.
#[derive(Clone, Debug, Serialize)]
pub struct Bar {
    name: String,
    value: f64,
    unit: &'static str,
    /// `None` for what is only there to compare with.
    reach: Option<Reach>,
    met: Option<bool>,
    /// For people: absolute figures, the 99th percentile.
    #[serde(skip)]
    note: String,
}

impl Bar {
    /// A row that must reach something.
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str, reach: Reach) -> Self {
        let met = Some(reach.is_met_by(value));
        Self { name: name.into(), value, unit, reach: Some(reach), met, note: String::new() }
    }

    /// A row to compare others with.
    pub fn comparison(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, reach: None, met: None, note: String::new() }
    }

    /// The same with a remark.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Whether it falls short.
    pub fn is_missed(&self) -> bool {
        self.met == Some(false)
    }
}

/// A row as it is printed.
impl fmt::Display for Bar {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reach = self.reach.map_or_else(String::new, |reach| reach.to_string());
        let met = match self.met {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "",
        };
        let (value, unit) = (number(self.value), self.unit);
        write!(formatter, "{:<64} {value:>9} {unit:<11} {reach:>11} {met:>4}  {}", self.name, self.note)
    }
}

/// The line above all rows.
pub fn heading() -> String {
    format!("{:<64} {:>9} {:<11} {:>11} {:>4}", "what", "value", "unit", "reach", "met")
}

/// With as many digits as mean something.
fn number(value: f64) -> String {
    match value.abs() {
        large if large >= 1000.0 => {
            let digits = format!("{large:.0}");
            let mut text = String::from(if value < 0.0 { "-" } else { "" });
            for (index, digit) in digits.chars().enumerate() {
                if index > 0 && (digits.len() - index) % 3 == 0 {
                    text.push(',');
                }
                text.push(digit);
            }
            text
        }
        whole if whole.fract() == 0.0 => format!("{value:.0}"),
        medium if medium >= 10.0 => format!("{value:.1}"),
        medium if medium >= 0.1 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

/// Writes all rows as a JSON array.
pub fn write_json(path: &Path, bars: &[Bar]) -> std::io::Result<()> {
    std::fs::write(path, serde_json::to_string_pretty(bars)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_met_on_its_own_side_of_the_limit() {
        let met = |reach| !Bar::new("x", 2.0, "ms", reach).is_missed();
        assert!(met(Reach::AtMost(2.0)) && !met(Reach::AtMost(1.9)));
        assert!(met(Reach::AtLeast(2.0)) && !met(Reach::AtLeast(2.1)));
        assert!(!Bar::comparison("x", 2.0, "ms").is_missed());
    }

    #[test]
    fn json_has_one_object_a_row_with_five_keys() {
        let bars = [Bar::new("a", 1.5, "ms", Reach::AtMost(2.0)).note("p99 3"), Bar::comparison("b", 1.0, "µs")];
        assert_eq!(
            serde_json::to_value(bars).unwrap(),
            serde_json::json!([
                { "name": "a", "value": 1.5, "unit": "ms", "reach": 2.0, "met": true },
                { "name": "b", "value": 1.0, "unit": "µs", "reach": null, "met": null },
            ])
        );
    }

    #[test]
    fn numbers_have_as_many_digits_as_mean_something() {
        let shown = [0.0, 0.0312, 0.5, 1.234, 42.0, 42.25, 1234.5, 1_234_567.0].map(number);
        assert_eq!(shown, ["0", "0.0312", "0.50", "1.23", "42", "42.2", "1,234", "1,234,567"]);
    }
}
