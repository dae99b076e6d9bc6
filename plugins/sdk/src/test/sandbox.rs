//! A built plugin in its sandbox, run by the real programs.

use serde_json::Value;
use std::fmt::Write as _;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long the plugin may take to become ready: a big component is compiled first.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often it is looked at meanwhile.
const POLL: Duration = Duration::from_millis(20);

/// Why something did not work, with what midimon said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SandboxError(String);

impl std::fmt::Display for SandboxError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for SandboxError {}

impl SandboxError {
    fn of(what: &str, error: impl std::fmt::Display) -> Self {
        Self(format!("{what}: {error}"))
    }
}

/// A plugin's directory that is to be run.
#[derive(Clone, Debug)]
pub struct Setup {
    plugin: PathBuf,
    grants: Vec<String>,
    settings: Vec<(String, String)>,
    mappings: String,
}

impl Setup {
    /// Grants it something, as in a configuration: `filesystem`, `network:localhost:6600`.
    #[must_use]
    pub fn grant(mut self, grant: &str) -> Self {
        self.grants.push(grant.to_owned());
        self
    }

    /// Sets something of it, a secret too, as `midimon plugin config set` takes it.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Maps a note's press to an action of it, with parameters as an inline table of TOML.
    #[must_use]
    pub fn note(mut self, note: u8, action: &str, params: &str) -> Self {
        let action = format!("type = \"Plugin\", plugin = \"\u{0}\", action = {action:?}, params = {params}");
        // cannot fail: writing to a string
        let _ = write!(
            self.mappings,
            "[[global_mappings]]\ntrigger = {{ type = \"Note\", note = {note} }}\naction = {{ {action} }}\n\n"
        );
        self
    }

    /// Maps an event of its own, with any value or this one, to an action of it.
    #[must_use]
    pub fn event(mut self, event: &str, value: Option<&str>, action: &str, params: &str) -> Self {
        let value = value.map_or_else(String::new, |value| format!(", value = {value:?}"));
        let trigger = format!("type = \"Plugin\", plugin = \"\u{0}\", event = {event:?}{value}");
        let action = format!("type = \"Plugin\", plugin = \"\u{0}\", action = {action:?}, params = {params}");
        // cannot fail: writing to a string
        let _ = write!(self.mappings, "[[global_mappings]]\ntrigger = {{ {trigger} }}\naction = {{ {action} }}\n\n");
        self
    }

    /// Runs it, and waits until it is ready.
    ///
    /// # Errors
    /// midimon is not there, the plugin is not built, or it does not start.
    pub fn start(self) -> Result<Sandbox, SandboxError> {
        Sandbox::start(&self)
    }
}

/// A plugin that runs in its sandbox, in a home of its own. Both are gone when this is dropped.
///
/// The programs are those in the directory that the variable `MIDIMON_BIN_DIR` names, or the
/// `midimon` that is installed.
///
/// ```no_run
/// use midimon_plugin::test::Sandbox;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // the directory with plugin.toml and the code that was built
/// let mut plugin = Sandbox::of(env!("CARGO_MANIFEST_DIR")).grant("filesystem").note(36, "count", "{}").start()?;
/// assert_eq!(plugin.call("count", "{}")?, "1 so far");
/// plugin.midi(&[0x90, 36, 100])?; // what the pad sends
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Sandbox {
    id: String,
    place: PathBuf,
    daemon: Child,
}

impl Sandbox {
    /// The plugin in a directory: `plugin.toml`, and the code it names.
    #[must_use]
    pub fn of(plugin: impl AsRef<Path>) -> Setup {
        let plugin = plugin.as_ref().to_owned();
        Setup { plugin, grants: Vec::new(), settings: Vec::new(), mappings: String::new() }
    }

    fn start(setup: &Setup) -> Result<Self, SandboxError> {
        let place = place().map_err(|error| SandboxError::of("no directory for the test", error))?;
        let run = || {
            let id = copy(&setup.plugin, &place.join("plugins"))?;
            let home = place.join("home");
            let written = fs::create_dir(&home)
                .and_then(|()| fs::write(home.join("config.toml"), config(setup, &id, &place)))
                .and_then(|()| File::create(place.join("log")));
            let log = written.map_err(|error| SandboxError::of("the test's home", error))?;
            for (name, value) in &setup.settings {
                set(&place, &id, name, value)?;
            }
            let daemon = midimon(&place)
                .args(["run", "--input", "stdin"])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .map_err(|error| SandboxError::of("midimon does not start (set MIDIMON_BIN_DIR)", error))?;
            Ok((id, daemon))
        };
        match run() {
            Ok((id, daemon)) => {
                let mut sandbox = Self { id, place, daemon };
                sandbox.wait_ready()?;
                Ok(sandbox)
            }
            Err(error) => {
                let _ = fs::remove_dir_all(&place); // what went wrong before matters more
                Err(error)
            }
        }
    }

    fn wait_ready(&mut self) -> Result<(), SandboxError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let state = self.state();
            match &state {
                Ok(state) if state == "ready" => return Ok(()),
                Ok(state) if state == "quarantined" => {}
                _ if Instant::now() < deadline => {
                    let ended = self.daemon.try_wait().map_err(|error| SandboxError::of("midimon", error))?;
                    if ended.is_none() {
                        std::thread::sleep(POLL);
                        continue;
                    }
                }
                _ => {}
            }
            let log = fs::read_to_string(self.place.join("log")).unwrap_or_default();
            return Err(SandboxError(format!("the plugin does not become ready ({state:?}):\n{log}")));
        }
    }

    fn state(&self) -> Result<String, SandboxError> {
        let workers = self.json(&["worker", "list", "--json"])?;
        let worker = workers.as_array().and_then(|workers| workers.iter().find(|worker| worker["id"] == *self.id));
        match worker.and_then(|worker| worker["state"].as_str()) {
            Some(state) => Ok(state.to_owned()),
            None => Err(SandboxError(format!("no plugin '{}' among {workers}", self.id))),
        }
    }

    /// Calls an action with parameters, a JSON object; the answer, empty where there is none.
    ///
    /// # Errors
    /// What the plugin, or midimon, says is wrong.
    pub fn call(&mut self, action: &str, params: &str) -> Result<String, SandboxError> {
        let answer = self.json(&["plugin", "call", &self.id, action, params, "--json"])?;
        Ok(answer["answer"].as_str().unwrap_or_default().to_owned())
    }

    /// Sends raw MIDI bytes, as a device would.
    ///
    /// # Errors
    /// midimon has ended.
    pub fn midi(&mut self, bytes: &[u8]) -> Result<(), SandboxError> {
        let input = self.daemon.stdin.as_mut().ok_or_else(|| SandboxError("midimon has no input".to_owned()))?;
        input.write_all(bytes).and_then(|()| input.flush()).map_err(|error| SandboxError::of("midimon", error))
    }

    /// What it wrote to its log so far.
    ///
    /// # Errors
    /// midimon cannot be asked.
    pub fn log(&self) -> Result<String, SandboxError> {
        self.run(&["logs", &self.id, "-n", "10000"])
    }

    /// What midimon shows of it: its calls, its process, its limits.
    ///
    /// # Errors
    /// midimon cannot be asked.
    pub fn status(&self) -> Result<Value, SandboxError> {
        self.json(&["worker", "inspect", &self.id, "--json"])
    }

    fn json(&self, arguments: &[&str]) -> Result<Value, SandboxError> {
        let text = self.run(arguments)?;
        serde_json::from_str(&text).map_err(|error| SandboxError(format!("midimon {arguments:?}: {error}: {text}")))
    }

    fn run(&self, arguments: &[&str]) -> Result<String, SandboxError> {
        let output = midimon(&self.place).args(arguments).output();
        let output = output.map_err(|error| SandboxError::of("midimon", error))?;
        if !output.status.success() {
            return Err(SandboxError(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // asked nicely, it ends its plugins as it always does; one that does not answer is killed
        if self.run(&["stop"]).is_err() {
            let _ = self.daemon.kill();
        }
        let _ = self.daemon.wait();
        let _ = fs::remove_dir_all(&self.place); // /tmp is emptied anyway
    }
}

/// The program, with the home in this place and nothing that leads it elsewhere.
fn midimon(place: &Path) -> Command {
    let program =
        std::env::var_os("MIDIMON_BIN_DIR").map_or_else(|| "midimon".into(), |dir| Path::new(&dir).join("midimon"));
    let mut command = Command::new(program);
    command.arg("--home").arg(place.join("home")).stdin(Stdio::null());
    for variable in ["MIDIMON_HOME", "MIDIMON_LOG"] {
        command.env_remove(variable);
    }
    command
}

/// Gives it a setting. By standard input, as secrets come.
fn set(place: &Path, id: &str, name: &str, value: &str) -> Result<(), SandboxError> {
    let failed = |error| SandboxError::of("midimon cannot be run (set MIDIMON_BIN_DIR)", error);
    let mut command = midimon(place);
    command.args(["plugin", "config", "set", id, name]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::piped()).spawn().map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        // one that does not read says why when it ends
        let _ = input.write_all(value.as_bytes());
    }
    let output = child.wait_with_output().map_err(failed)?;
    let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(SandboxError::of(&format!("the setting '{name}'"), words)) }
}

/// A new directory for this user alone.
fn place() -> io::Result<PathBuf> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    // short: a socket's path has room for 107 bytes
    let place = std::env::temp_dir().join(format!("midimon-test-{}-{number}", std::process::id()));
    DirBuilder::new().mode(0o700).create(&place)?;
    Ok(place)
}

/// Copies the manifest and the files beside it; the plugin's id.
fn copy(from: &Path, to: &Path) -> Result<String, SandboxError> {
    let manifest = from.join("plugin.toml");
    let shown = manifest.display().to_string();
    let text = fs::read_to_string(&manifest).map_err(|error| SandboxError::of(&shown, error))?;
    let id = field(&text, "id").ok_or_else(|| SandboxError(format!("{shown}: it has no `id = \"…\"`")))?;
    let to = to.join(&id);
    let copied = fs::create_dir_all(&to).and_then(|()| {
        for entry in fs::read_dir(from)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::copy(entry.path(), to.join(entry.file_name()))?;
            }
        }
        Ok(())
    });
    copied.map_err(|error| SandboxError::of("the plugin's files", error))?;
    Ok(id)
}

/// A text of the manifest's first table. midimon itself reads the rest.
fn field(manifest: &str, name: &str) -> Option<String> {
    let lines = manifest.lines().take_while(|line| !line.starts_with('['));
    let value = lines.filter_map(|line| line.split_once('=')).find(|(key, _)| key.trim() == name)?.1;
    Some(value.trim().strip_prefix('"')?.split_once('"')?.0.to_owned())
}

fn config(setup: &Setup, id: &str, place: &Path) -> String {
    let plugins = place.join("plugins");
    let Setup { grants, mappings, .. } = setup;
    let mut text = format!("schema = 1\n\n[plugins]\ndir = {:?}\n\n", plugins.to_string_lossy());
    // cannot fail: writing to a string
    let _ = write!(text, "[plugins.{id}]\ngrants = {grants:?}\n\n");
    text + &mappings.replace('\u{0}', id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_the_manifests_own_and_not_an_actions() {
        let manifest = "schema = 1\nid = \"my-plugin\" # mine\n\n[[actions]]\nid = \"other\"\n";
        assert_eq!(field(manifest, "id").as_deref(), Some("my-plugin"));
        assert_eq!(field("[[actions]]\nid = \"other\"\n", "id"), None);
    }

    #[test]
    fn a_configuration_has_the_grants_and_the_mappings() {
        let setup = Sandbox::of("/p").grant("filesystem").note(36, "play", "{ b = 2 }");
        let expected = r#"schema = 1

[plugins]
dir = "/x/plugins"

[plugins.mine]
grants = ["filesystem"]

[[global_mappings]]
trigger = { type = "Note", note = 36 }
action = { type = "Plugin", plugin = "mine", action = "play", params = { b = 2 } }

"#;
        assert_eq!(config(&setup, "mine", Path::new("/x")), expected);
    }
}
