//! What using an index changes here, said and told to a running daemon.

use crate::cli::output::{Colour, Look, coloured_stderr};
use crate::cli::plugin::daemon::tell;
use crate::cli::safe_text::safe_text;
use crate::cli::{CliError, Context};
use crate::plugins::index::IndexName;
use crate::plugins::index::apply::{Current, Effect, refresh};
use crate::timestamp::Timestamp;
use std::fmt::Display;

/// An index in use; or its name and why it is not used.
pub(in crate::cli) type Looked = Result<Current, (IndexName, String)>;

pub(in crate::cli) fn failed(error: impl Display) -> CliError {
    CliError::Failed(error.to_string())
}

/// Each index of these names as it is now, with what it revokes revoked here and told
/// on standard error; or why it is not used.
pub(in crate::cli) fn current(context: &Context, names: &[IndexName]) -> Result<Vec<Looked>, CliError> {
    context.home.prepare()?;
    let now = Timestamp::now();
    let all: Vec<_> = names
        .iter()
        .map(|name| refresh(&context.home, name, now).map_err(|error| (name.clone(), error.to_string())))
        .collect();
    let effects: Vec<&Effect> = all.iter().flatten().flat_map(|current| &current.effects).collect();
    take_note(context, &effects)?;
    Ok(all)
}

/// Says what an index changed, and waits until a running daemon has taken notice.
pub(in crate::cli) fn take_note(context: &Context, effects: &[&Effect]) -> Result<(), CliError> {
    let look = Look { coloured: coloured_stderr(), width: 80 };
    for effect in effects {
        eprintln!("{} {}", look.paint(Colour::Bad, "index:"), safe_text(&effect.to_string()));
    }
    if effects.is_empty() {
        return Ok(());
    }
    match tell(context) {
        Ok(report) => {
            if let Some(not_yet) = report.and_then(|report| report.not_yet) {
                eprintln!("{not_yet}");
            }
            Ok(())
        }
        Err(error) => Err(failed(format!(
            "the index changed what may run, but the daemon could not be told; run `midimon stop`: {error}"
        ))),
    }
}
