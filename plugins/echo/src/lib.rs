//! Answers every action with what it was told. The shortest useful plugin.
#![deny(unsafe_code)]

use midimon_plugin::{Context, Error, Metadata, Outcome, Params, Plugin, export_plugin};

#[derive(Default)]
struct Echo;

impl Plugin for Echo {
    fn describe() -> Metadata {
        Metadata { name: "Echo", version: env!("CARGO_PKG_VERSION"), description: "Answers with what it was told" }
    }

    fn handle(&mut self, action: &str, params: &Params<'_>, context: &Context<'_>) -> Result<Outcome, Error> {
        // for measurements: nothing but the way there and back
        if action == "quiet" {
            return Ok(Outcome::ok());
        }
        let mut answer = format!("{action} {}", params.json());
        if let Some(note) = context.note() {
            answer += &format!(", note {note}");
        }
        if let Some(velocity) = context.velocity {
            answer += &format!(", velocity {velocity}");
        }
        Ok(Outcome::answer(answer))
    }
}

export_plugin!(Echo);
