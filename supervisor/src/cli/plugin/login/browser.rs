//! The user's browser.

use std::process::{Command, Stdio};

/// What opens an address as the user has chosen, on every desktop of freedesktop.org.
const OPENER: &str = "xdg-open";

/// Asks the desktop to open an address; false when there is none to ask. Nobody waits for it:
/// some browsers stay in front.
pub(super) fn open(address: &str) -> bool {
    let mut command = Command::new(OPENER);
    command.arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().is_ok()
}
