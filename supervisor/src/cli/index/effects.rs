//! What using an index means for what is here, said and told to a running daemon.

use crate::cli::output::{Colour, Look, coloured_stderr};
use crate::cli::plugin::daemon::{failed, tell};
use crate::cli::safe_text::safe_text;
use crate::cli::{CliError, Context};
use crate::plugins::index::IndexName;
use crate::plugins::index::apply::{Current, refresh};
use crate::timestamp::Timestamp;

/// An index in use; or its name and why it is not used.
pub(in crate::cli) type Looked = Result<Current, (IndexName, String)>;

/// Each index of these names as it is now, with what it revokes revoked here and told
/// on standard error; or why it is not used.
pub(in crate::cli) fn current(context: &Context, names: &[IndexName]) -> Result<Vec<Looked>, CliError> {
    context.home.prepare()?;
    let now = Timestamp::now();
    let all: Vec<_> = names
        .iter()
        .map(|name| refresh(&context.home, name, now).map_err(|error| (name.clone(), error.to_string())))
        .collect();
    take_note(context, all.iter().flatten())?;
    Ok(all)
}

/// Says what indexes mean for what is here, and waits until a running daemon has taken notice.
pub(super) fn take_note<'c>(
    context: &Context,
    indexes: impl Iterator<Item = &'c Current> + Clone,
) -> Result<(), CliError> {
    let look = Look { coloured: coloured_stderr(), width: 80 };
    for effect in indexes.clone().flat_map(|current| &current.effects) {
        eprintln!("{} {}", look.paint(Colour::Bad, "index:"), safe_text(&effect.to_string()));
    }
    // also what is not new: an earlier command may have ended before it told the daemon
    let concerns = |current: &Current| current.is_new || !current.effects.is_empty();
    if indexes.into_iter().any(concerns) { tell_daemon(context) } else { Ok(()) }
}

/// Waits until a running daemon has taken notice of what the indexes revoke now.
pub(super) fn tell_daemon(context: &Context) -> Result<(), CliError> {
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
