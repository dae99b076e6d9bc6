//! `plugin verify`: every check a package goes through, explained one by one.

use super::package::needs;
use crate::cli::output::{Colour, Look};
use crate::cli::safe_text::safe_text;
use crate::cli::units::bytes;
use crate::cli::{CliError, Context};
use crate::plugins::files::FileError;
use crate::plugins::manifest::TARGET;
use crate::plugins::manifest::files::hex;
use crate::plugins::minisign::{PublicKey, Signature, SignatureError};
use crate::plugins::package::{Contents, PackageError, PackageFile, VerifiedPackage, signature_path};
use crate::plugins::trust::{Standing, TrustStore};
use crate::workers::status::PluginKind;
use clap::Args;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// `midimon plugin verify`
#[derive(Debug, Args)]
#[command(after_help = "\
Nothing is installed, and no code of the plugin runs. The exit code is 1 when a
check failed. What a signature proves is who packed the plugin, not that it is good.

Examples:
  midimon plugin verify notes-1.0.0.mmp
  midimon plugin verify notes-1.0.0.mmp --key publisher.pub
  midimon plugin verify notes-1.0.0.mmp --key RWQ... --json")]
pub(super) struct Verify {
    /// The package; its signature is FILE.minisig
    file: PathBuf,
    /// The publisher's public key or its file, instead of those that are trusted
    #[arg(long, value_name = "KEY_OR_FILE")]
    key: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One check and how it went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    detail: String,
}

/// Everything that was found out.
#[derive(Debug, Default, Serialize)]
struct Report {
    file: String,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    /// The key whose signature was checked and is right.
    #[serde(skip_serializing_if = "Option::is_none")]
    signed_by: Option<PublicKey>,
    checks: Vec<Check>,
}

impl Verify {
    pub(super) fn execute(self, context: &Context) -> Result<(), CliError> {
        let failed = |error: &dyn std::fmt::Display| CliError::Failed(error.to_string());
        let key = self.key.as_deref().map(PublicKey::from_text_or_file).transpose();
        let key = key.map_err(|error| CliError::Failed(format!("--key: {error}")))?;
        let trusted = TrustStore::load(&context.home).map_err(|error| failed(&error))?;
        let report = Report::make(&self.file, key, &trusted);
        if self.json {
            context.out.json(&report)?;
        } else {
            context.out.print(&report.render(&context.out.look))?;
        }
        if report.ok { Ok(()) } else { Err(CliError::Reported) }
    }
}

impl Report {
    fn make(file: &Path, key: Option<PublicKey>, trusted: &TrustStore) -> Self {
        let mut report = Self { file: file.to_string_lossy().into_owned(), ..Self::default() };
        report.check(file, key, trusted);
        report.ok = report.checks.iter().all(|check| check.ok);
        report
    }

    fn add(&mut self, name: &'static str, ok: bool, detail: impl Into<String>) {
        self.checks.push(Check { name, ok, detail: detail.into() });
    }

    fn check(&mut self, file: &Path, key: Option<PublicKey>, trusted: &TrustStore) {
        let package = match PackageFile::open(file) {
            Ok(package) => package,
            Err(error) => return self.add("file", false, error.to_string()),
        };
        let sha256 = hex(&package.sha256());
        self.add("file", true, format!("{}, SHA-256 {sha256}", bytes(package.len())));
        self.sha256 = Some(sha256);
        let Some(package) = self.signature(file, package, key, trusted) else { return };
        let contents = match package.read() {
            Ok(contents) => contents,
            Err(PackageError::Manifest(problems)) => {
                let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
                return self.add("plugin.toml", false, lines.join("; "));
            }
            Err(error) => return self.add("archive", false, error.to_string()),
        };
        self.contents(&contents);
    }

    /// The package, unless its signature is wrong: that is not unpacked.
    fn signature(
        &mut self,
        file: &Path,
        package: PackageFile,
        key: Option<PublicKey>,
        trusted: &TrustStore,
    ) -> Option<VerifiedPackage> {
        let path = signature_path(file);
        let shown = path.display();
        let signature = match Signature::read(&path) {
            Ok(signature) => signature,
            Err(SignatureError::File(FileError::Missing)) => {
                self.add(
                    "signature",
                    false,
                    format!("it is not signed: there is no '{shown}', and `install` wants --allow-unsigned"),
                );
                return Some(package.accept_unsigned());
            }
            Err(error) => {
                self.add("signature", false, format!("'{shown}': {error}"));
                return None;
            }
        };
        let known = trusted.entries().iter().map(|entry| &entry.key);
        let Some(key) = key.as_ref().or_else(|| signature.choose(known, &package.blake2b())) else {
            let id = signature.claimed_key_id_hex();
            let detail = format!("it says it was made with the key {id}, which you do not know; give it with --key");
            self.add("signature", false, detail);
            return Some(package.accept_unsigned());
        };
        match package.verify(&signature, key) {
            Ok(package) => {
                self.add("signature", true, "Ed25519 over the BLAKE2b-512 of the whole file, and over its comment");
                self.key(key, trusted);
                self.signed_by = Some(*key);
                Some(package)
            }
            Err(error) => {
                self.add("signature", false, format!("{error}; nothing was unpacked"));
                None
            }
        }
    }

    fn key(&mut self, key: &PublicKey, trusted: &TrustStore) {
        let fingerprint = key.fingerprint();
        match trusted.standing(key) {
            Standing::Trusted(entry) => {
                self.add("key", true, format!("{}, trusted since {}, {fingerprint}", entry.name, entry.since));
            }
            Standing::Revoked(entry) => {
                self.add("key", false, format!("{}, revoked: trust nothing signed with it, {fingerprint}", entry.name));
            }
            Standing::Unknown => {
                self.add("key", true, format!("the one you gave, not among your trusted, {fingerprint}"))
            }
        }
    }

    fn contents(&mut self, contents: &Contents) {
        let manifest = &contents.manifest;
        self.id = Some(manifest.id.to_string());
        self.version = Some(manifest.version.to_string());
        if contents.publisher.is_some() {
            self.add("comment", true, format!("“{}”, signed too", contents.trusted_comment));
        }
        self.add("archive", true, "one zstd frame, plain files only, in their order, and nothing else");
        let detail = format!("{} {}: no unknown or double key, no text that misleads", manifest.id, manifest.version);
        self.add("plugin.toml", true, detail);
        for file in &manifest.files {
            self.add("content", true, format!("{}, {}, SHA-256 as listed", file.name, bytes(file.size)));
        }
        if manifest.kind == PluginKind::Wasm {
            return self.add("code", true, format!("{}, a WASM core module", manifest.entry));
        }
        match contents.native() {
            Ok(all) => {
                for (target, facts) in all {
                    self.add(
                        "code",
                        true,
                        format!("for {target}, needs {}; no path, hook or writable code", needs(&facts)),
                    );
                    if target == TARGET {
                        match facts.runs_here() {
                            Ok(()) => self.add("system", true, "this system has what it needs"),
                            Err(fault) => self.add("system", false, format!("it {fault}")),
                        }
                    }
                }
            }
            Err(error) => self.add("code", false, error.to_string()),
        }
    }

    fn render(&self, look: &Look) -> String {
        let mut text = String::new();
        for Check { name, ok, detail } in &self.checks {
            let (word, colour) = if *ok { ("ok    ", Colour::Good) } else { ("FAILED", Colour::Bad) };
            text.push_str(&format!("{}  {name:<11}  {}\n", look.paint(colour, word), safe_text(detail)));
        }
        let failed = self.checks.iter().filter(|check| !check.ok).count();
        let what = match (&self.id, &self.version) {
            (Some(id), Some(version)) => format!("{id} {version}"),
            _ => self.file.clone(),
        };
        let summary = match failed {
            0 => look.paint(Colour::Good, "every check passed"),
            1 => look.paint(Colour::Bad, "a check failed"),
            _ => look.paint(Colour::Bad, &format!("{failed} checks failed")),
        };
        text.push_str(&format!("{}: {summary}\n", safe_text(&what)));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugins::minisign::{SecretKey, TrustedComment};
    use crate::plugins::package::pack;
    use std::fs;

    const MANIFEST: &str =
        "schema = 1\nid = \"ab\"\nname = \"N\"\nversion = \"1.2.3\"\nkind = \"wasm\"\nentry = \"a.wasm\"\n";

    /// A directory with `ab.mmp`, and the bytes of the package.
    fn packed() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("plugin.toml"), MANIFEST).unwrap();
        fs::write(dir.path().join("a.wasm"), b"\0asm\x01\0\0\0").unwrap();
        let path = dir.path().join("ab.mmp");
        fs::write(&path, pack(dir.path()).unwrap().bytes).unwrap();
        (dir, path)
    }

    fn sign(path: &Path, secret: &SecretKey) {
        let hash = PackageFile::open(path).unwrap().blake2b();
        let signature = Signature::sign(secret, &hash, TrustedComment::new("midimon plugin ab 1.2.3").unwrap());
        fs::write(signature_path(path), signature.to_text()).unwrap();
    }

    fn failed(report: &Report) -> Vec<&str> {
        report.checks.iter().filter(|check| !check.ok).map(|check| check.name).collect()
    }

    #[test]
    fn a_signed_package_passes_line_by_line() {
        let (_dir, path) = packed();
        let secret = SecretKey::generate().unwrap();
        sign(&path, &secret);
        let report = Report::make(&path, Some(secret.public()), &TrustStore::default());
        let text = report.render(&Look::plain(80));
        assert!(report.ok, "{text}");
        assert_eq!(report.signed_by, Some(secret.public()));
        let names: Vec<&str> = report.checks.iter().map(|check| check.name).collect();
        assert_eq!(
            names,
            ["file", "signature", "key", "comment", "archive", "plugin.toml", "content", "code"],
            "{text}"
        );
        assert!(text.contains("ok      content      a.wasm, 8B, SHA-256 as listed\n"), "{text}");
        assert!(text.ends_with("ab 1.2.3: every check passed\n"), "{text}");
    }

    #[test]
    fn what_is_unsigned_or_signed_by_a_stranger_is_looked_at_and_not_passed() {
        let (_dir, path) = packed();
        let report = Report::make(&path, None, &TrustStore::default());
        assert_eq!(failed(&report), ["signature"]);
        assert!(report.checks.len() > 4 && report.signed_by.is_none());
        assert!(report.render(&Look::plain(80)).ends_with("ab 1.2.3: a check failed\n"));
        sign(&path, &SecretKey::generate().unwrap());
        let report = Report::make(&path, None, &TrustStore::default());
        assert_eq!(failed(&report), ["signature"]);
        assert!(report.checks[1].detail.contains("give it with --key"));
    }

    #[test]
    fn e088_what_was_changed_after_it_was_signed_is_not_unpacked() {
        let (_dir, path) = packed();
        let (secret, stranger) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        sign(&path, &secret);
        let report = Report::make(&path, Some(stranger.public()), &TrustStore::default());
        assert_eq!((failed(&report), report.checks.len()), (vec!["signature"], 2));
        let mut bytes = fs::read(&path).unwrap();
        bytes[40] ^= 1;
        fs::write(&path, bytes).unwrap();
        let report = Report::make(&path, Some(secret.public()), &TrustStore::default());
        assert_eq!((failed(&report), report.checks.len(), &report.id), (vec!["signature"], 2, &None));
        fs::write(signature_path(&path), "untrusted comment: x\n").unwrap();
        let report = Report::make(&path, Some(secret.public()), &TrustStore::default());
        assert_eq!(failed(&report), ["signature"]);
    }

    #[test]
    fn a_hostile_package_forges_no_line() {
        let (_dir, path) = packed();
        fs::write(&path, b"not a package").unwrap();
        let text = Report::make(&path, None, &TrustStore::default()).render(&Look::plain(80));
        assert!(text.contains("FAILED  archive      it is no midimon package"), "{text}");
        let nowhere = Report::make(Path::new("/nowhere/\u{1b}[2J\nok"), None, &TrustStore::default());
        let text = nowhere.render(&Look::plain(80));
        assert!(text.contains("\\u{1b}[2J\\u{a}ok") && text.lines().count() == 2, "{text}");
    }
}
