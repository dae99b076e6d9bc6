//! A built plugin in its sandbox, run by the real programs.

use super::setup::Setup;
use serde_json::Value;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long anything may take, on a machine that is busy: to become ready, a big component is compiled first.
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
    pub(super) fn new(words: String) -> Self {
        Self(words)
    }

    pub(super) fn of(what: &str, error: impl std::fmt::Display) -> Self {
        Self(format!("{what}: {error}"))
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
        Setup::new(Ok(plugin.as_ref().to_owned()))
    }

    /// The plugin with this id in the directory of plugins that the variable `MIDIMON_PLUGINS_DIR`
    /// names, as a `[plugins] dir` does: what was built and put there, whoever's test this is.
    #[must_use]
    pub fn built(id: &str) -> Setup {
        let plugins = std::env::var_os("MIDIMON_PLUGINS_DIR").ok_or_else(|| {
            SandboxError(format!("the directory with the plugin '{id}' is not known (set MIDIMON_PLUGINS_DIR)"))
        });
        Setup::new(plugins.map(|plugins| Path::new(&plugins).join(id)))
    }

    pub(super) fn start(setup: &Setup) -> Result<Self, SandboxError> {
        let place = place().map_err(|error| SandboxError::of("no directory for the test", error))?;
        let run = || {
            let id = setup.copy_plugin(&place.join("plugins"))?;
            let home = place.join("home");
            let written = fs::create_dir(&home)
                .and_then(|()| fs::write(home.join("config.toml"), setup.config(&id, &place)))
                .and_then(|()| File::create(place.join("log")));
            let log = written.map_err(|error| SandboxError::of("the test's home", error))?;
            for (name, value) in setup.settings() {
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
            return Err(self.failure(&format!("the plugin does not become ready ({state:?})")));
        }
    }

    /// With what midimon said so far.
    fn failure(&self, what: &str) -> SandboxError {
        let log = fs::read_to_string(self.place.join("log")).unwrap_or_default();
        SandboxError(format!("{what}:\n{log}"))
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

    /// Looks again and again until something holds that the plugin, or midimon, does in a time
    /// of its own: a server has been asked, a light is on.
    ///
    /// # Errors
    /// It does not hold within a minute, or midimon ends. The error has `what`, and what midimon said.
    pub fn wait_until(&mut self, what: &str, mut holds: impl FnMut() -> bool) -> Result<(), SandboxError> {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            let ended = self.daemon.try_wait().map_err(|error| SandboxError::of("midimon", error))?;
            if let Some(status) = ended {
                return Err(self.failure(&format!("midimon has ended ({status}) before {what}")));
            }
            if Instant::now() >= deadline {
                return Err(self.failure(&format!("not within {PATIENCE:?}: {what}")));
            }
            std::thread::sleep(POLL);
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_with_midimon_and_tells_what_it_said() {
        let place = place().unwrap();
        fs::write(place.join("log"), "it fell over").unwrap();
        let mut daemon = Command::new("false").spawn().unwrap();
        daemon.wait().unwrap();
        let mut sandbox = Sandbox { id: "x".to_owned(), place, daemon };
        sandbox.wait_until("what holds is not waited for", || true).unwrap();
        let error = sandbox.wait_until("the light is on", || false).unwrap_err().to_string();
        assert!(error.starts_with("midimon has ended (exit status: 1) before the light is on"), "{error}");
        assert!(error.ends_with("it fell over"), "{error}");
    }
}
