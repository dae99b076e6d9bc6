//! `plugin sign`: a publisher's name under a package.

use super::package::write;
use crate::cli::key::read_secret;
use crate::cli::safe_text::safe_text;
use crate::cli::units::count;
use crate::cli::{CliError, Context};
use crate::plugins::minisign::{Signature, TrustedComment};
use crate::plugins::package::{PackageFile, signature_path};
use clap::Args;
use std::path::PathBuf;

/// `midimon plugin sign`
#[derive(Debug, Args)]
#[command(after_help = "\
Writes FILE.minisig, which `minisign -V` accepts too.

Examples:
  midimon key generate -o publisher
  midimon plugin sign notes-1.0.0.mmp --key publisher.key")]
pub(super) struct Sign {
    /// The package
    file: PathBuf,
    /// The secret key's file
    #[arg(long, value_name = "PATH.key")]
    key: PathBuf,
    /// What to say in the signature [default: midimon plugin ID VERSION]
    #[arg(short = 't', long, value_name = "COMMENT")]
    comment: Option<String>,
}

impl Sign {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let failed = |error: &dyn std::fmt::Display| CliError::Failed(format!("'{}': {error}", self.file.display()));
        let taken = PackageFile::open(&self.file).map_err(|error| CliError::Failed(error.to_string()))?;
        let hash = taken.blake2b();
        // nobody should put a name under what will be refused
        let contents = taken.accept_unsigned().read().map_err(|error| failed(&error))?;
        contents.native().map_err(|error| failed(&error))?;
        let manifest = &contents.manifest;
        let comment = self.comment.unwrap_or_else(|| format!("midimon plugin {} {}", manifest.id, manifest.version));
        let comment = TrustedComment::new(&comment)
            .map_err(|error| CliError::Failed(format!("the comment {error}; shorten or correct it")))?;
        let secret = read_secret(&self.key)?;
        let path = signature_path(&self.file);
        write(&path, Signature::sign(&secret, &hash, comment).to_text().as_bytes())?;
        let (shown, public) = (path.to_string_lossy(), secret.public());
        let files = count(manifest.files.len() as u64, "file");
        context.out.print(&format!(
            "signed     {} {} ({files} and plugin.toml)\nsignature  {}\npublic key {public}\nfingerprint {}\n",
            manifest.id,
            manifest.version,
            safe_text(&shown),
            public.fingerprint()
        ))
    }
}
