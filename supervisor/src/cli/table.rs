//! Tables of text.

use super::output::{Colour, Look};
use super::safe_text::safe_text;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

const GAP: &str = "  ";

/// Narrowest a text column is cut to.
const NARROWEST: usize = 8;

/// One cell; what is in it is made safe to show.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    colour: Option<Colour>,
}

impl Cell {
    /// A coloured cell.
    #[must_use]
    pub fn new(text: impl AsRef<str>, colour: Colour) -> Self {
        Self { text: safe_text(text.as_ref()).into_owned(), colour: Some(colour) }
    }
}

impl<T: AsRef<str>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: safe_text(text.as_ref()).into_owned(), colour: None }
    }
}

/// Which side of a column its text stands on; numbers stand right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Text, which may be cut when the table is too wide.
    Left,
    /// Numbers, never cut.
    Right,
}

/// A table under construction.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<(&'static str, Side)>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// A table with these columns.
    #[must_use]
    pub fn new(columns: &[(&'static str, Side)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// Adds a row; cells beyond the columns are not shown.
    pub fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }

    /// The columns it needs when nothing is cut.
    #[must_use]
    pub fn natural_width(&self) -> usize {
        let widths = self.widths();
        widths.iter().sum::<usize>() + GAP.len() * widths.len().saturating_sub(1)
    }

    /// The table as lines, cut at the widest text columns until it fits.
    #[must_use]
    pub fn render(&self, look: &Look) -> String {
        let mut widths = self.widths();
        let mut excess = self.natural_width().saturating_sub(look.width);
        while excess > 0 {
            let cuttable = (0..widths.len()).filter(|i| self.columns[*i].1 == Side::Left && widths[*i] > NARROWEST);
            let Some(widest) = cuttable.max_by_key(|i| widths[*i]) else { break };
            widths[widest] -= 1;
            excess -= 1;
        }
        let heading: Vec<Cell> = self.columns.iter().map(|(name, _)| Cell::new(name, Colour::Strong)).collect();
        let mut text = String::new();
        for row in std::iter::once(&heading).chain(&self.rows) {
            text.push_str(self.render_row(row, &widths, look).trim_end());
            text.push('\n');
        }
        text
    }

    fn render_row(&self, row: &[Cell], widths: &[usize], look: &Look) -> String {
        let cells = row.iter().zip(&self.columns).zip(widths).map(|((cell, (_, side)), width)| {
            let text = cut(&cell.text, *width);
            let padding = " ".repeat(width.saturating_sub(text.width()));
            let painted = cell.colour.map_or_else(|| text.clone(), |colour| look.paint(colour, &text));
            match side {
                Side::Left => painted + &padding,
                Side::Right => padding + &painted,
            }
        });
        cells.collect::<Vec<_>>().join(GAP)
    }

    fn widths(&self) -> Vec<usize> {
        let column = |index: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(index)).map(|cell| cell.text.width());
            cells.chain([self.columns[index].0.width()]).max().unwrap_or(0)
        };
        (0..self.columns.len()).map(column).collect()
    }
}

/// The text, or as much of it as fits with a mark that something is missing.
#[must_use]
pub fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let (mut kept, mut used) = (String::new(), 1);
    for character in text.chars() {
        used += character.width().unwrap_or(0);
        if used > width {
            break;
        }
        kept.push(character);
    }
    kept + "…"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&[("NAME", Side::Left), ("CALLS", Side::Right), ("WHY", Side::Left)]);
        table.row(vec!["echo".into(), "12345".into(), "".into()]);
        table.row(vec!["ピアノ".into(), "7".into(), Cell::new("a long reason that goes on and on", Colour::Bad)]);
        table
    }

    #[test]
    fn columns_line_up_even_where_characters_are_wide() {
        let expected = "NAME    CALLS  WHY\necho    12345\nピアノ      7  a long reason that goes on and on\n";
        assert_eq!(table().render(&Look::plain(80)), expected);
    }

    #[test]
    fn a_table_that_is_too_wide_loses_text_and_never_digits() {
        let text = table().render(&Look::plain(30));
        assert!(text.lines().all(|line| line.width() <= 30), "{text}");
        assert!(text.contains("12345") && text.contains("a long reason") && text.contains("…\n"), "{text}");
    }

    #[test]
    fn colours_surround_the_text_and_not_the_padding() {
        let text = table().render(&Look { coloured: true, width: 80 });
        assert!(text.contains("\x1b[31ma long reason that goes on and on\x1b[0m\n"), "{text:?}");
    }

    #[test]
    fn a_hostile_cell_cannot_break_out_of_its_place() {
        let mut table = Table::new(&[("NAME", Side::Left)]);
        table.row(vec!["x\n\x1b[2J\u{202e}".into()]);
        assert_eq!(table.render(&Look::plain(80)).lines().count(), 2);
    }
}
