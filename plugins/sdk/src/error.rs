//! Why something did not happen: a plugin's own errors, and midimon's refusals.

use std::fmt::Display;

/// Why a call, or the start of a plugin, failed. `?` makes one of every error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    code: i32,
    message: String,
}

impl Error {
    /// The code of an error that has none of its own.
    pub const GENERAL: i32 = 1;
    /// The code of an action the plugin does not have.
    pub const UNKNOWN_ACTION: i32 = 2;
    /// The code of a panic.
    pub const PANIC: i32 = -1;

    /// An error in the plugin's own words.
    #[must_use]
    pub fn new(message: impl Display) -> Self {
        Self { code: Self::GENERAL, message: message.to_string() }
    }

    /// There is no such action.
    #[must_use]
    pub fn unknown_action(action: &str) -> Self {
        Self::new(format_args!("there is no action '{action}'")).with_code(Self::UNKNOWN_ACTION)
    }

    /// The same with another code; 0 would mean success and becomes [`Error::GENERAL`].
    #[must_use]
    pub const fn with_code(mut self, code: i32) -> Self {
        self.code = if code == 0 { Self::GENERAL } else { code };
        self
    }

    /// The code.
    #[must_use]
    pub const fn code(&self) -> i32 {
        self.code
    }

    /// The words.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

// As `anyhow` has it: without being an error itself, it can be made of every error.
impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        Self::new(error)
    }
}

/// Kinds of refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The user has not granted it.
    NotGranted,
    /// The request makes no sense or is over a size limit.
    Invalid,
    /// Too many, too fast: ask again later.
    TooMany,
    /// It took longer than it may.
    TimedOut,
    /// It was tried and did not work.
    Failed,
    /// This midimon is too old for it.
    Unsupported,
}

/// Why a request was not carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostError {
    kind: Refusal,
    message: String,
}

impl HostError {
    pub(crate) fn new(kind: Refusal, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// What kind of reason.
    #[must_use]
    pub const fn kind(&self) -> Refusal {
        self.kind
    }
}

impl Display for HostError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for HostError {}

impl From<HostError> for std::io::Error {
    fn from(error: HostError) -> Self {
        let kind = match error.kind {
            Refusal::NotGranted => std::io::ErrorKind::PermissionDenied,
            Refusal::Invalid => std::io::ErrorKind::InvalidInput,
            Refusal::TimedOut => std::io::ErrorKind::TimedOut,
            Refusal::Unsupported => std::io::ErrorKind::Unsupported,
            Refusal::TooMany | Refusal::Failed => std::io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
