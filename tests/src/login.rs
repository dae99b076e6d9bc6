//! `midimon plugin login`, while it waits for the browser.

use crate::Bed;
use crate::accounts::{get, sent_back};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};

/// A login that was begun.
#[derive(Debug)]
pub struct Login {
    /// The program. Its standard input takes what is pasted.
    pub child: Child,
    /// What it asks the user to open.
    pub address: String,
}

impl Login {
    /// Begins to log a plugin in, without the desktop's browser.
    ///
    /// # Panics
    /// No address is printed.
    #[must_use]
    pub fn start(bed: &Bed, id: &str) -> Self {
        Self::of(bed.command(&["plugin", "login", id, "--no-browser"]))
    }

    fn of(mut command: Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("midimon runs");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut seen = Vec::new();
        let address = loop {
            let line = lines.next().unwrap_or_else(|| panic!("no address in {seen:?}")).expect("text");
            match line.strip_prefix("  http://") {
                Some(rest) => break format!("http://{rest}"),
                None => seen.push(line),
            }
        };
        // what it prints later is read to its end, as a terminal would
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    /// Opens the address as a browser does, and goes where the service sends it.
    ///
    /// # Panics
    /// The login does not work.
    pub fn works(self) {
        let _ = get(&sent_back(&self.address));
        let output = self.ends();
        assert!(output.status.success(), "{output:?}");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// What it printed cannot be read.
    #[must_use]
    pub fn ends(self) -> Output {
        self.child.wait_with_output().expect("it ends")
    }

    /// Waits for its end, which has to be a refusal; why it was.
    ///
    /// # Panics
    /// It works, or ends in another way.
    #[must_use]
    pub fn fails(self) -> String {
        let output = self.ends();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }
}
