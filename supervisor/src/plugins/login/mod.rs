//! Logging in to a service as the user, for a plugin: OAuth 2.0 with a code, PKCE, and an
//! answer over loopback (RFC 6749, RFC 7636, RFC 8252).
//!
//! ```text
//! Flow::new ─▶ (browser at Listener) ─▶ authorize_url ─▶ Listener::wait ─▶ code
//!                                                               │
//!                       Tokens ◀─ tokens::read ◀─ exchange::post
//! ```
//!
//! [`flow`], [`tokens`], [`url`] and [`response`] are pure. The plugin sees nothing of it but
//! the tokens, which become settings that nobody else writes.

pub mod exchange;
pub mod flow;
pub mod listener;
mod pasted;
pub mod peer;
pub mod request;
pub mod response;
pub mod tokens;
pub mod url;

pub use exchange::{ExchangeError, post};
pub use flow::{Answer, Flow};
pub use listener::{Listener, WaitError};
pub use tokens::{TokenError, Tokens};
pub use url::WebUrl;
