//! Notes when its handler is entered; see `benches/probe`, which does the same.

wit_bindgen::generate!({ path: "../../plugins/wit", world: "midimon-plugin" });

use exports::midimon::plugin::plugin::Guest;
use midimon::plugin::types::{Context, Failure, Metadata};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use wasip2::clocks::monotonic_clock;

thread_local! {
    static ENTERED: RefCell<VecDeque<i32>> = const { RefCell::new(VecDeque::new()) };
    /// By number.
    static BOUND: RefCell<BTreeMap<u32, Action>> = const { RefCell::new(BTreeMap::new()) };
}

#[derive(Clone, Copy)]
enum Action {
    Mark,
    Pop,
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

    fn bind(binding: u32, action: String, _params: String) -> Result<(), Failure> {
        let action = match action.as_str() {
            "mark" => Action::Mark,
            "pop" => Action::Pop,
            _ => return Err(Failure { code: 1, message: format!("there is no action {action}") }),
        };
        BOUND.with_borrow_mut(|bound| bound.insert(binding, action));
        Ok(())
    }

    fn handle(binding: u32, _context: Context) -> Result<Option<String>, Failure> {
        let now = monotonic_clock::now();
        let action = BOUND.with_borrow(|bound| bound[&binding]);
        ENTERED.with_borrow_mut(|entered| match action {
            Action::Mark => {
                entered.push_back((now & 0x7FFF_FFFF) as i32);
                Ok(None)
            }
            Action::Pop => Err(Failure { code: entered.pop_front().unwrap_or(-1), message: String::new() }),
        })
    }

    fn stop() {}
}

export!(Probe);
