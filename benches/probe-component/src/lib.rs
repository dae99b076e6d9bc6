//! Notes when its handler is entered; see `benches/probe`, which does the same.

wit_bindgen::generate!({ path: "../../plugins/wit", world: "midimon-plugin" });

use exports::midimon::plugin::plugin::Guest;
use midimon::plugin::types::{Context, Failure, Metadata};
use std::cell::RefCell;
use std::collections::VecDeque;
use wasip2::clocks::monotonic_clock;

thread_local! {
    static ENTERED: RefCell<VecDeque<i32>> = const { RefCell::new(VecDeque::new()) };
}

struct Probe;

impl Guest for Probe {
    fn describe() -> Metadata {
        Metadata {
            name: "Probe as a component".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: "Notes when it is called".to_owned(),
        }
    }

    fn start(_settings: String) -> Result<(), Failure> {
        Ok(())
    }

    fn handle(action: String, _params: String, _context: Context) -> Result<Option<String>, Failure> {
        let now = monotonic_clock::now();
        ENTERED.with_borrow_mut(|entered| match action.as_str() {
            "mark" => {
                entered.push_back((now & 0x7FFF_FFFF) as i32);
                Ok(None)
            }
            "pop" => Err(Failure { code: entered.pop_front().unwrap_or(-1), message: String::new() }),
            _ => Err(Failure { code: 1, message: format!("there is no action {action}") }),
        })
    }

    fn stop() {}
}

export!(Probe);
