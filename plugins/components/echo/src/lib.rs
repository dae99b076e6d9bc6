//! Answers every action with what it was told: a component with nothing between it and `plugins/wit`.

wit_bindgen::generate!({ path: "../../wit", world: "midimon-plugin" });

use exports::midimon::plugin::plugin::Guest;
use midimon::plugin::log::{Level, write};
use midimon::plugin::types::{Context, Failure, Metadata};
use std::cell::RefCell;
use std::collections::BTreeMap;

thread_local! {
    /// Actions and parameters, by number.
    static BOUND: RefCell<BTreeMap<u32, (String, String)>> = const { RefCell::new(BTreeMap::new()) };
}

struct Echo;

impl Guest for Echo {
    fn describe() -> Metadata {
        Metadata {
            name: "Echo, a component".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            description: "Answers with what it was told".to_owned(),
        }
    }

    fn start(settings: String) -> Result<(), Failure> {
        write(Level::Info, &format!("settings {settings}"));
        Ok(())
    }

    fn bind(binding: u32, action: String, params: String) -> Result<(), Failure> {
        BOUND.with_borrow_mut(|bound| bound.insert(binding, (action, params)));
        Ok(())
    }

    fn handle(binding: u32, context: Context) -> Result<Option<String>, Failure> {
        let answer = BOUND.with_borrow(|bound| match &bound[&binding] {
            // for measurements: nothing but the way there and back
            (action, _) if action == "quiet" => None,
            (action, params) => Some(format!("{action} {params}")),
        });
        let Some(mut answer) = answer else { return Ok(None) };
        if let Some((0x80..=0x9F, note, _)) = context.message {
            answer += &format!(", note {note}");
        }
        if let Some(velocity) = context.velocity {
            answer += &format!(", velocity {velocity}");
        }
        Ok(Some(answer))
    }

    fn stop() {
        write(Level::Info, "stopped");
    }
}

export!(Echo);
