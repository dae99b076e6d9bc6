//! Writes down what was played: one line a call into `notes.txt` in the
//! plugin's data directory. Asks for `filesystem`.
#![deny(unsafe_code)]

mod book;

use book::Book;
use midimon_plugin::{Context, Error, Host, Metadata, Outcome, Params, Plugin, export_plugin};

#[derive(Default)]
struct Notes {
    book: Option<Book>,
}

impl Plugin for Notes {
    fn describe() -> Metadata {
        Metadata { name: "Notes", version: env!("CARGO_PKG_VERSION"), description: "Writes down what was played" }
    }

    fn init(&mut self, host: Host, _settings: &Params<'_>) -> Result<(), Error> {
        let dir = host.data_dir().ok_or_else(|| {
            Error::new("no data directory: add `grants = [\"filesystem\"]` to [plugins.notes] in config.toml")
        })?;
        self.book = Some(Book::open(&dir).map_err(|error| Error::new(format_args!("{}: {error}", dir.display())))?);
        Ok(())
    }

    fn handle(&mut self, action: &str, _params: &Params<'_>, context: &Context<'_>) -> Result<Outcome, Error> {
        let line = book::line(context.timestamp_ms, action, context.velocity, context.note());
        match &mut self.book {
            Some(book) => book.add(&line)?,
            None => return Err(Error::new("notes.txt is not open")),
        }
        Ok(Outcome::answer(line.trim_end()))
    }
}

export_plugin!(Notes);
