//! `plugin pack`: a package of a plugin's directory.

use crate::cli::safe_text::safe_text;
use crate::cli::units::bytes;
use crate::cli::{CliError, Context};
use crate::home::{is_left_over, write_atomic};
use crate::plugins::manifest::files::hex;
use crate::plugins::package::{self, NativeFacts, Packed};
use clap::Args;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// `midimon plugin pack`
#[derive(Debug, Args)]
#[command(after_help = "\
Packs plugin.toml, the code it names, what its `include` lists, and README,
LICENSE and COPYING files. The same files give the same bytes, always.

Examples:
  midimon plugin pack ~/midi-plugins/notes
  midimon plugin pack . -o /tmp/notes.mmp")]
pub(super) struct Pack {
    /// The plugin's directory
    dir: PathBuf,
    /// Where to write the package instead of ID-VERSION.mmp here
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Pack {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let packed = package::pack(&self.dir).map_err(|error| CliError::Failed(error.to_string()))?;
        let path = self.output.unwrap_or_else(|| PathBuf::from(&packed.file_name));
        write(&path, &packed.bytes)?;
        context.out.print(&text(&packed, &path))
    }
}

/// Writes a file that appears whole or not at all; what has its name is replaced, unless it is no file.
pub(super) fn write(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    if path.symlink_metadata().is_ok_and(|metadata| !metadata.is_file()) {
        return Err(CliError::Failed(format!("'{}' is no regular file; choose another name", path.display())));
    }
    sweep(path);
    // it is made to be given away
    let written = write_atomic(path, bytes, 0o644);
    written.map_err(|error| CliError::Failed(format!("cannot write '{}': {error}", path.display())))
}

/// Removes what a command left that was killed while it wrote this file.
fn sweep(path: &Path) {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // a directory that cannot be read has nothing of ours that could be removed
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|found| is_left_over(found, Some(name))) {
            let _ = fs::remove_file(entry.path()); // it is in nobody's way
        }
    }
}

fn text(packed: &Packed, path: &Path) -> String {
    let shown = path.to_string_lossy();
    let shown = safe_text(&shown);
    let names: Vec<&str> = packed.manifest.files.iter().map(|file| file.name.as_str()).collect();
    let mut text = String::new();
    let mut line = |name: &str, value: &str| text.push_str(&format!("{name:<10} {value}\n"));
    line("packed", &format!("{shown} ({})", bytes(packed.bytes.len() as u64)));
    line("plugin", &format!("{} {}", packed.manifest.id, packed.manifest.version));
    line("files", &format!("plugin.toml, {}", names.join(", ")));
    for (target, facts) in &packed.native {
        line("needs", &format!("{} on {}", needs(facts), safe_text(target)));
    }
    line("sha256", &hex(&Sha256::digest(&packed.bytes)));
    line("next", &format!("midimon plugin sign {shown} --key PATH.key"));
    text
}

/// What native code needs of a system, in a line.
pub(super) fn needs(facts: &NativeFacts) -> String {
    let libraries = match facts.needed.len() {
        0 => "no library".to_owned(),
        _ => facts.needed.join(", "),
    };
    match facts.glibc {
        Some((major, minor)) => format!("glibc {major}.{minor} or newer, {libraries}"),
        None => libraries,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_file_is_replaced_whole_and_a_link_is_not_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        write(&at("a"), b"one").unwrap();
        write(&at("a"), b"two").unwrap();
        assert_eq!(fs::read(at("a")).unwrap(), b"two");
        symlink(at("target"), at("link")).unwrap();
        assert!(write(&at("link"), b"x").unwrap_err().to_string().contains("is no regular file"));
        assert!(write(dir.path(), b"x").is_err() && write(&at("none/a"), b"x").is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is left behind");
    }

    #[test]
    fn what_a_killed_command_left_of_a_file_goes_when_the_file_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let ours = format!(".a.mmp.{}.0", std::process::id());
        for name in [".a.mmp.4194305.0", ".b.mmp.4194305.0", &ours] {
            fs::write(at(name), "half").unwrap();
        }
        write(&at("a.mmp"), b"whole").unwrap();
        assert!(!at(".a.mmp.4194305.0").exists(), "nobody writes it any more");
        assert!(at(".b.mmp.4194305.0").exists() && at(&ours).exists(), "another's, and one being written");
    }

    #[test]
    fn what_code_needs_fits_a_line() {
        let facts = |needed: &[&str], glibc| NativeFacts {
            machine: "x86_64",
            needed: needed.iter().map(|name| (*name).to_owned()).collect(),
            glibc,
        };
        assert_eq!(
            needs(&facts(&["libc.so.6", "libm.so.6"], Some((2, 34)))),
            "glibc 2.34 or newer, libc.so.6, libm.so.6"
        );
        assert_eq!(needs(&facts(&[], None)), "no library");
    }
}
