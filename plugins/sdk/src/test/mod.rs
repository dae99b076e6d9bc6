//! Tests of a plugin: in a plain unit test with a midimon that only takes notes
//! ([`Driver`]), or in its sandbox, run by the real programs ([`Sandbox`]).
//!
//! ```
//! use midimon_plugin::test::{Answer, Call, Driver, Request};
//! use midimon_plugin::{Context, Error, Host, Metadata, Outcome, Params, Plugin, Ran, Refusal};
//! use std::time::Duration;
//!
//! #[derive(Default)]
//! struct Volume(Option<Host>);
//!
//! impl Plugin for Volume {
//!     fn describe() -> Metadata {
//!         Metadata { name: "Volume", version: "1.0.0", description: "Sets the volume" }
//!     }
//!     fn init(&mut self, host: Host, _settings: &Params<'_>) -> Result<(), Error> {
//!         self.0 = Some(host);
//!         Ok(())
//!     }
//!     fn handle(&mut self, action: &str, _params: &Params<'_>, context: &Context<'_>) -> Result<Outcome, Error> {
//!         let Some(host) = self.0 else { return Err(Error::unknown_action(action)) };
//!         let percent = u32::from(context.velocity.unwrap_or(127)) * 100 / 127;
//!         let ran = host.run("wpctl", &["set-volume", &format!("{percent}%")], Duration::from_secs(1))?;
//!         Ok(Outcome::answer(format!("wpctl said {}", ran.code)))
//!     }
//! }
//!
//! let mut volume = Driver::<Volume>::start("{}").unwrap();
//! let outcome = volume.call(&Call::new("set").note(60, 127)).unwrap();
//! assert_eq!(outcome.answer.as_deref(), Some("wpctl said 0"));
//! let arguments = vec!["set-volume".into(), "100%".into()];
//! assert_eq!(volume.requests(), [Request::Run { program: "wpctl".into(), arguments }]);
//!
//! // midimon's answers are the test's
//! volume.answers(|request| match request {
//!     Request::Run { .. } => Answer::Refused(Refusal::NotGranted, "not granted".into()),
//!     _ => Answer::Done,
//! });
//! assert_eq!(volume.call(&Call::new("set")).unwrap_err().message(), "not granted");
//! ```

mod driver;
mod recorded;
mod sandbox;
mod setup;

pub use driver::{Call, Driver};
pub use recorded::{Answer, Request};
pub use sandbox::{Sandbox, SandboxError};
pub use setup::Setup;

use crate::Params;
use crate::native::Pairs;
use std::borrow::Cow;

/// Parameters, or settings, of a JSON object.
#[must_use]
pub const fn params(json: &str) -> Params<'_> {
    Params::new(Cow::Borrowed(json), Pairs::NONE)
}
