//! SIGTERM and SIGINT stop the daemon, SIGHUP makes it read its configuration.

use super::router::Notice;
use nix::sys::signal::{SigSet, Signal};
use std::io;
use std::sync::mpsc::Sender;

/// Blocks the signals in this thread, and so in every thread it starts from now
/// on, and waits for them on one of its own. Children get an empty mask again.
///
/// # Errors
/// The thread cannot be started.
pub fn start(notices: Sender<Notice>) -> io::Result<()> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        signals.add(signal);
    }
    signals.thread_block()?;
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        while let Ok(signal) = signals.wait() {
            let notice = if signal == Signal::SIGHUP { Notice::Reload } else { Notice::Stop };
            if notices.send(notice).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}
