//! `key generate`, and typing passwords.

use super::write::{KeyFile, write_pair};
use crate::cli::hidden_line::{HiddenLineError, hidden_line};
use crate::cli::{CliError, Context};
use crate::plugins::files::read_given;
use crate::plugins::minisign::{self, Password, SecretKey};
use clap::Args;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Typing a password to a new key is tried so often.
const TRIES: usize = 3;

#[derive(Debug, Args)]
#[command(after_help = "\
The files are minisign's: `minisign -S -s PATH.key` signs with them, too. Keep
PATH.key to yourself; publish PATH.pub, or the text in it that begins with RW.

Examples:
  midimon key generate -o publisher                  asks for a password
  midimon key generate -o publisher --no-password    for a machine that signs alone")]
pub(super) struct Generate {
    /// Write PATH.key and PATH.pub
    #[arg(short, long = "output", value_name = "PATH")]
    output: PathBuf,
    /// Do not protect the secret key with a password
    #[arg(long)]
    no_password: bool,
    /// Replace the files if they are there; the old key is lost then
    #[arg(long)]
    force: bool,
}

impl Generate {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        if self.output.file_name().is_none() {
            return Err(CliError::Failed(format!("'{}' names no file", self.output.display())));
        }
        let at = |extension: &str| {
            let mut path = OsString::from(self.output.as_os_str());
            path.push(extension);
            PathBuf::from(path)
        };
        let (key_path, public_path) = (at(".key"), at(".pub"));
        // before anything is typed; writing looks again
        let is_there = |path: &&PathBuf| path.symlink_metadata().is_ok();
        if let Some(there) = [&key_path, &public_path].into_iter().find(is_there).filter(|_| !self.force) {
            return Err(CliError::Failed(format!(
                "'{}' is there already: choose another path, or add --force to replace it (the old key is lost then)",
                there.display()
            )));
        }
        let failed = |error: minisign::SecretKeyError| CliError::Failed(error.to_string());
        let secret = SecretKey::generate().map_err(failed)?;
        let public = secret.public();
        let password = if self.no_password { None } else { Some(new_password()?) };
        if password.is_some() {
            eprintln!(
                "protecting the key with the password; this takes some seconds and 1 GiB of memory, as in minisign"
            );
        }
        let comment = format!("minisign secret key {} of midimon", public.key_id_hex());
        let key_text = secret.to_file_text(password.as_ref(), &comment).map_err(failed)?;
        let public_text = public.to_file_text(&format!("minisign public key {}", public.key_id_hex()));
        write_pair(
            &KeyFile { path: &key_path, bytes: key_text.as_bytes(), mode: 0o600 },
            &KeyFile { path: &public_path, bytes: public_text.as_bytes(), mode: 0o644 },
            self.force,
        )
        .map_err(|error| CliError::Failed(error.to_string()))?;
        context.out.print(&format!(
            "secret key   {} (keep it to yourself)\npublic key   {} (publish it)\n             {public}\nfingerprint  {}\n",
            crate::cli::safe_text::safe_text(&key_path.to_string_lossy()),
            crate::cli::safe_text::safe_text(&public_path.to_string_lossy()),
            public.fingerprint(),
        ))
    }
}

fn new_password() -> Result<Password, CliError> {
    for _ in 0..TRIES {
        let first = match Password::new(typed("Password for the new key: ")?) {
            Ok(password) => password,
            Err(error) => {
                eprintln!("{error}");
                continue;
            }
        };
        if Password::new(typed("The same again: ")?).is_ok_and(|second| second == first) {
            return Ok(first);
        }
        eprintln!("the two differ");
    }
    Err(CliError::Failed("no password was set, and no key was made".to_owned()))
}

/// A password typed on the terminal. Never from a pipe: what is piped was on a command line or
/// in a file before.
fn typed(prompt: &str) -> Result<Zeroizing<String>, CliError> {
    hidden_line(prompt).map_err(|error| {
        CliError::Failed(match error {
            HiddenLineError::NoTerminal(_) => {
                format!(
                    "a password can only be typed on a terminal ({error}); a key made with --no-password needs none"
                )
            }
            error => format!("no password was given: {error}"),
        })
    })
}

/// Reads a secret key that the user named, asking for its password on the terminal.
pub(in crate::cli) fn read_secret(path: &Path) -> Result<SecretKey, CliError> {
    let failed = |error: &dyn std::fmt::Display| CliError::Failed(format!("'{}': {error}", path.display()));
    let bytes = Zeroizing::new(read_given(path, minisign::MAX_TEXT as u64).map_err(|error| failed(&error))?);
    let text = std::str::from_utf8(&bytes).map_err(|_| failed(&"is not text; a secret key is two lines of text"))?;
    let mut refused = None;
    let secret = SecretKey::from_file_text(text, || {
        let given = typed(&format!("Password of {}: ", crate::cli::safe_text::safe_text(&path.to_string_lossy())));
        match given.and_then(|text| Password::new(text).map_err(|error| failed(&error))) {
            Ok(password) => {
                eprintln!("opening the key; this takes some seconds");
                Some(password)
            }
            Err(error) => {
                refused = Some(error);
                None
            }
        }
    });
    match (secret, refused) {
        (Ok(secret), _) => Ok(secret),
        (Err(_), Some(error)) => Err(error),
        (Err(error), None) => Err(failed(&error)),
    }
}
