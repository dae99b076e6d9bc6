//! Answers every action with what it was told: a component with nothing between it and `plugins/wit`.

wit_bindgen::generate!({ path: "../../wit", world: "midimon-plugin" });

use exports::midimon::plugin::plugin::Guest;
use midimon::plugin::log::{Level, write};
use midimon::plugin::types::{Context, Failure, Metadata};

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

    fn handle(action: String, params: String, context: Context) -> Result<Option<String>, Failure> {
        // for measurements: nothing but the way there and back
        if action == "quiet" {
            return Ok(None);
        }
        let mut answer = format!("{action} {params}");
        if let (0x80..=0x9F, note, _) = context.message {
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
