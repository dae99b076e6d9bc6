//! Writes down what was played: one line a call into `/notes.txt`, which is
//! `plugin-data/notes-wasm/notes.txt` outside. Asks for `filesystem`.
//!
//! The ABI tells no note, so a mapping can: `params = { note = 36 }`.

// the same file as the native plugin's
#[path = "../../../notes/src/book.rs"]
mod book;

use book::Book;
use core_abi::{FAILED, Request};
use std::cell::RefCell;
use std::io;
use std::path::Path;

const METADATA: &str = r#"{
    "name": "Notes in WASM", "version": "0.1.0", "description": "Writes down what was played",
    "author": "The midimon project", "license": "MIT OR Apache-2.0", "type": "action", "capabilities": ["filesystem"]
}"#;

thread_local! {
    // opened with the first call, and kept as long as the instance is
    static BOOK: RefCell<Option<Book>> = const { RefCell::new(None) };
}

fn handle(request: Request) -> i32 {
    let note = request.params.get("note").and_then(|note| note.as_u64()).and_then(|note| u8::try_from(note).ok());
    let line = book::line(request.context.timestamp, &request.action, request.context.velocity, note);
    match BOOK.with_borrow_mut(|book| add(book, &line)) {
        Ok(()) => 0,
        Err(error) => {
            println!("/notes.txt: {error}; is `filesystem` granted in [plugins.notes-wasm]?");
            FAILED
        }
    }
}

fn add(book: &mut Option<Book>, line: &str) -> io::Result<()> {
    match book {
        Some(book) => book.add(line),
        None => book.insert(Book::open(Path::new("/"))?).add(line),
    }
}

core_abi::export!(METADATA, handle);
