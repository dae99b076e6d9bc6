//! Keys and signatures go both ways between midimon and Debian's `minisign`.

use midimon::plugins::minisign::{Blake2b512Digest, Password, PublicKey, SecretKey, Signature, TrustedComment};
use midimon_tests::terminal::behind;
use midimon_tests::{Bed, Terminal};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const PASSWORD: &str = "correct horse";

/// Runs `minisign` in a directory, with this on its standard input.
fn minisign(directory: &Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new("minisign")
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("minisign (Debian package minisign: run scripts/setup test)");
    // one that needs no password does not read it, and may be gone
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    child.wait_with_output().expect("minisign's end")
}

fn works(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

struct Desk {
    bed: Bed,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { bed: Bed::new() };
        fs::write(desk.at("file"), "the content that is signed").expect("a file");
        desk
    }

    fn directory(&self) -> PathBuf {
        self.bed.path("")
    }

    fn at(&self, name: &str) -> PathBuf {
        self.bed.path(name)
    }

    /// `midimon key generate` without a password.
    fn generate_open(&self, name: &str) {
        let path = self.at(name);
        works(self.bed.run(&["key", "generate", "-o", &path.to_string_lossy(), "--no-password"]));
    }

    /// Signs `file` through the library with a `.key` file, as `file.minisig`.
    fn sign(&self, key: &str, password: Option<&str>) -> PublicKey {
        let text = fs::read_to_string(self.at(key)).expect("a key file");
        let password = || password.map(|text| Password::new(text.to_owned().into()).expect("a password"));
        let secret = SecretKey::from_file_text(&text, password).expect("a secret key");
        let comment = TrustedComment::new("midimon plugin echo 1.0.0").expect("a comment");
        let signature = Signature::sign(&secret, &self.hash(), comment);
        fs::write(self.at("file.minisig"), signature.to_text()).expect("a signature");
        secret.public()
    }

    fn hash(&self) -> Blake2b512Digest {
        Blake2b512Digest::of(&fs::read(self.at("file")).expect("the file"))
    }

    /// What the library says about `file` and `file.minisig`.
    fn we_accept(&self, key: &str) -> Result<String, String> {
        let key = PublicKey::read(&self.at(key)).map_err(|error| error.to_string())?;
        let signature = Signature::read(&self.at("file.minisig")).map_err(|error| error.to_string())?;
        Ok(signature.verify(&key, &self.hash()).map_err(|error| error.to_string())?.to_string())
    }

    fn minisign_accepts(&self, key: &str) -> bool {
        minisign(&self.directory(), &["-V", "-p", key, "-m", "file"], "").status.success()
    }

    /// Both accept it, and both refuse it when anything about it is changed.
    fn both_agree(&self, key: &str, comment: &str) {
        assert_eq!(self.we_accept(key).expect("a good signature"), comment);
        assert!(self.minisign_accepts(key));
        let keep = |name: &str| fs::read(self.at(name)).expect(name);
        let (file, signature) = (keep("file"), keep("file.minisig"));
        let text = String::from_utf8(signature.clone()).expect("text");
        let lines: Vec<&str> = text.lines().collect();
        let flipped = |line: &str| {
            let middle = line.len() / 2;
            let other = if line.as_bytes()[middle] == b'A' { "B" } else { "A" };
            [&line[..middle], other, &line[middle + 1..]].concat()
        };
        for (line, what) in [(1, "signature"), (2, "trusted comment"), (3, "signature of the comment")] {
            let mut lines: Vec<String> = lines.iter().map(|&line| line.to_owned()).collect();
            lines[line] = flipped(&lines[line]);
            fs::write(self.at("file.minisig"), lines.join("\n") + "\n").expect("a changed signature");
            assert!(self.we_accept(key).is_err() && !self.minisign_accepts(key), "{what}");
        }
        fs::write(self.at("file.minisig"), &signature).expect("the signature");
        fs::write(self.at("file"), [&file[..], b"!"].concat()).expect("a changed file");
        assert!(self.we_accept(key).is_err() && !self.minisign_accepts(key), "file");
        fs::write(self.at("file"), &file).expect("the file");
        if !self.at("stranger.pub").exists() {
            self.generate_open("stranger");
        }
        assert!(self.we_accept("stranger.pub").is_err() && !self.minisign_accepts("stranger.pub"), "other key");
        assert!(self.we_accept(key).is_ok() && self.minisign_accepts(key));
    }
}

#[test]
fn our_key_signs_with_minisign_and_with_us() {
    let desk = Desk::new();
    desk.generate_open("ours");
    works(minisign(&desk.directory(), &["-S", "-s", "ours.key", "-m", "file", "-t", "by minisign"], ""));
    desk.both_agree("ours.pub", "by minisign");
    let signer = desk.sign("ours.key", None);
    assert_eq!(signer, PublicKey::read(&desk.at("ours.pub")).expect("a key"));
    desk.both_agree("ours.pub", "midimon plugin echo 1.0.0");
    let again = works(minisign(&desk.directory(), &["-R", "-f", "-s", "ours.key", "-p", "again.pub"], ""));
    assert_eq!(PublicKey::read(&desk.at("again.pub")).expect(&again), signer);
}

#[test]
fn minisigns_open_key_signs_with_us_and_with_minisign() {
    let desk = Desk::new();
    works(minisign(&desk.directory(), &["-G", "-W", "-s", "theirs.key", "-p", "theirs.pub"], ""));
    desk.sign("theirs.key", None);
    desk.both_agree("theirs.pub", "midimon plugin echo 1.0.0");
    works(minisign(&desk.directory(), &["-S", "-W", "-s", "theirs.key", "-m", "file", "-t", "a\tb"], ""));
    desk.both_agree("theirs.pub", "a\tb");
    works(minisign(&desk.directory(), &["-S", "-l", "-W", "-s", "theirs.key", "-m", "file"], ""));
    assert!(desk.minisign_accepts("theirs.pub"), "the old kind, which minisign still takes");
    assert!(desk.we_accept("theirs.pub").expect_err("the old kind").contains("old kind"));
}

#[test]
fn minisigns_key_with_a_password_signs_with_us() {
    let desk = Desk::new();
    let twice = format!("{PASSWORD}\n{PASSWORD}\n");
    works(minisign(&desk.directory(), &["-G", "-s", "theirs.key", "-p", "theirs.pub"], &twice));
    desk.sign("theirs.key", Some(PASSWORD));
    desk.both_agree("theirs.pub", "midimon plugin echo 1.0.0");
}

#[test]
fn our_key_with_a_password_typed_on_a_terminal_signs_with_minisign() {
    let desk = Desk::new();
    let path = desk.at("ours").to_string_lossy().into_owned();
    let mut session = Terminal::new(80, 24).run_controlled(&desk.bed.command(&["key", "generate", "-o", &path]));
    session.wait_for("Password for the new key: ").enter(PASSWORD);
    session.wait_for("The same again: ").enter("correct house").wait_for("the two differ");
    session.wait_for("Password for the new key: ").enter(PASSWORD);
    session.wait_for("The same again: ").enter(PASSWORD);
    let (status, seen) = session.end();
    assert!(status.success(), "{seen}");
    assert!(seen.contains("fingerprint") && !seen.contains("horse") && !seen.contains("house"), "{seen}");

    let signed = |password: &str| {
        let input = format!("{password}\n");
        minisign(&desk.directory(), &["-S", "-s", "ours.key", "-m", "file", "-t", "by minisign"], &input)
    };
    assert!(!signed("wrong").status.success());
    works(signed(PASSWORD));
    desk.both_agree("ours.pub", "by minisign");
}

#[test]
fn key_files_are_private_and_never_overwritten_without_force() {
    let desk = Desk::new();
    desk.generate_open("ours");
    let mode = |name: &str| fs::metadata(desk.at(name)).expect(name).permissions().mode() & 0o777;
    assert_eq!((mode("ours.key"), mode("ours.pub") & 0o600), (0o600, 0o600));
    let first = fs::read(desk.at("ours.key")).expect("a key");
    let path = desk.at("ours").to_string_lossy().into_owned();
    let refused = desk.bed.run(&["key", "generate", "-o", &path, "--no-password"]);
    assert!(!refused.status.success() && String::from_utf8_lossy(&refused.stderr).contains("--force"), "{refused:?}");
    assert_eq!(fs::read(desk.at("ours.key")).expect("a key"), first);
    works(desk.bed.run(&["key", "generate", "-o", &path, "--no-password", "--force"]));
    assert_ne!(fs::read(desk.at("ours.key")).expect("a key"), first);
    desk.sign("ours.key", None);
    desk.both_agree("ours.pub", "midimon plugin echo 1.0.0");
}

#[test]
fn without_a_terminal_no_password_is_taken_and_no_key_is_made() {
    let desk = Desk::new();
    let path = desk.at("ours").to_string_lossy().into_owned();
    // a session of its own has no terminal, whatever the test runs in
    let mut command = behind(&["setsid", "--wait"], &desk.bed.command(&["key", "generate", "-o", &path]));
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("setsid (util-linux)");
    let _ = child.stdin.take().expect("a pipe").write_all(b"pw\npw\n"); // it does not read it
    let output = child.wait_with_output().expect("its end");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("--no-password"), "{said}");
    assert!(!desk.at("ours.key").exists() && !desk.at("ours.pub").exists());
}

#[test]
fn e106_keys_are_trusted_shown_and_revoked_by_command() {
    let desk = Desk::new();
    desk.generate_open("genuine");
    desk.generate_open("alike");
    let file = |name: &str| desk.at(name).to_string_lossy().into_owned();
    let (genuine, alike) = (file("genuine.pub"), file("alike.pub"));
    let key = PublicKey::read(&desk.at("genuine.pub")).expect("a key");
    let show = |given: &str| works(desk.bed.run(&["key", "show", given]));
    assert!(show(&genuine).contains("unknown"));
    works(desk.bed.run(&["key", "trust", &key.to_string(), "--name", "Modern Player"]));
    let similar = desk.bed.run(&["key", "revoke", "modern player"]);
    assert!(String::from_utf8_lossy(&similar.stderr).contains("did you mean 'Modern Player'?"), "{similar:?}");
    let shown = show("Modern Player");
    assert!(shown.contains("trusted") && shown.contains(&key.fingerprint().to_string()), "{shown}");
    let refused = desk.bed.run(&["key", "trust", &alike, "--name", "Modem P1ayer"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains(&key.fingerprint().to_string()), "{said}");
    let revoked = works(desk.bed.run(&["key", "revoke", "Modern Player"]));
    assert!(revoked.contains("revoked: Modern Player"), "{revoked}");
    assert!(show(&genuine).contains("revoked"));
    assert!(!desk.bed.run(&["key", "trust", &genuine, "--name", "Modern Player"]).status.success());
    let list = works(desk.bed.run(&["key", "list", "--json"]));
    assert_eq!((list.matches("\"key\"").count(), list.matches("\"standing\": \"revoked\"").count()), (1, 1), "{list}");
    fs::write(desk.bed.home().join("trusted_keys.toml"), "schema = 1\nbroken").expect("a damaged store");
    for command in [["key", "list"].as_slice(), &["key", "revoke", &alike], &["key", "show", &genuine]] {
        let output = desk.bed.run(command);
        assert!(String::from_utf8_lossy(&output.stderr).contains("trusted_keys.toml:2:"), "{command:?}: {output:?}");
    }
}
