//! A daemon of its own for the plugin, in a home of its own.

use crate::cli::CliError;
use crate::cli::tail::Log;
use crate::control::client::{Client, ClientError};
use crate::control::model::Status;
use crate::control::protocol::{Params, Request};
use crate::home::Home;
use crate::plugins::manifest::{FILE_NAME, Manifest};
use crate::plugins::settings::{Owner, Settings, SettingsError};
use crate::workers::status::{WorkerState, WorkerStatus};
use midimon_shared::{Capability, PluginId};
use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the plugin may take to become ready: a big component is compiled first.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// How long the daemon may take to end: plugins get 2 s, the rest is quick.
const ENDS_WITHIN: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(20);

/// A temporary directory with a home and a plugin directory; gone when dropped.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
}

impl Place {
    pub fn new() -> Result<Self, CliError> {
        // short: a socket's path has room for 107 bytes
        let base = std::env::temp_dir();
        for number in 0..100 {
            let path = base.join(format!("midimon-dev-{}-{number}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("make", &path, &error)),
            }
        }
        Err(CliError::Failed(format!("'{}' is full of directories of this; remove midimon-dev-*", base.display())))
    }

    fn home(&self) -> PathBuf {
        self.path.join("home")
    }

    /// Puts the plugin's files where the daemon looks for them.
    pub fn stage(&self, manifest: &Path, code: &Path, plugin: &Manifest) -> Result<(), CliError> {
        let dir = self.path.join("plugins").join(plugin.id.as_str());
        fs::create_dir_all(&dir).map_err(|error| failed("make", &dir, &error))?;
        let source = manifest.parent().unwrap_or(Path::new("."));
        let included = plugin.include.iter().map(|name| (source.join(name), dir.join(name)));
        let files = [(manifest.to_owned(), dir.join(FILE_NAME)), (code.to_owned(), dir.join(&plugin.entry))];
        for (from, to) in files.into_iter().chain(included) {
            fs::copy(&from, &to).map_err(|error| failed("copy", &from, &error))?;
        }
        Ok(())
    }

    /// Writes the configuration, no mappings and these grants, and the plugin's settings, lines of TOML.
    pub fn configure(&self, manifest: &Manifest, grants: &[Capability], settings: &[String]) -> Result<(), CliError> {
        let home = Home::at(&self.home())?;
        home.prepare()?;
        let file = home.config_file();
        let text = configuration(&self.path.join("plugins"), &manifest.id, grants);
        fs::write(&file, text).map_err(|error| failed("write", &file, &error))?;
        let wrong = |error: SettingsError| CliError::Failed(format!("--set: {error}"));
        let mut set = Settings::load(&home.settings_dir(), Owner::Dev, &manifest.id).map_err(wrong)?;
        for line in settings {
            for (name, text) in assignments(line)? {
                set.set(&manifest.settings, &name, &text).map_err(wrong)?;
            }
        }
        set.save().map_err(wrong)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path); // it is in a directory that is emptied anyway
    }
}

/// The names and values of a line of TOML, as `plugin config set` takes them.
fn assignments(line: &str) -> Result<Vec<(String, String)>, CliError> {
    let table: toml::Table =
        line.parse().map_err(|error| CliError::Failed(format!("--set takes a line as `name = \"value\"`: {error}")))?;
    let text = |value| match value {
        toml::Value::String(text) => text,
        value => value.to_string(),
    };
    Ok(table.into_iter().map(|(name, value)| (name, text(value))).collect())
}

fn configuration(plugins: &Path, id: &PluginId, grants: &[Capability]) -> String {
    let quoted = |text: String| toml::Value::String(text).to_string();
    let dir = quoted(plugins.to_string_lossy().into_owned());
    let grants: Vec<String> = grants.iter().map(|grant| quoted(grant.to_string())).collect();
    format!("schema = 1\n\n[plugins]\ndir = {dir}\n\n[plugins.{id}]\ngrants = [{}]\n", grants.join(", "))
}

/// A daemon with the plugin; ended when dropped.
#[derive(Debug)]
pub struct Session {
    daemon: Child,
    home: Home,
    id: PluginId,
    /// The plugin's log and the daemon's, which has what is wrong with the plugin.
    logs: [(PathBuf, Log); 2],
}

impl Session {
    pub fn start(place: &Place, id: &PluginId) -> Result<Self, CliError> {
        let home = Home::at(&place.home())?;
        let daemon_log = place.path.join("daemon.log");
        let log = File::create(&daemon_log).map_err(|error| failed("write", &daemon_log, &error))?;
        let cannot = |error: std::io::Error| CliError::Failed(format!("cannot start a daemon: {error}"));
        let daemon = Command::new(std::env::current_exe().map_err(cannot)?)
            .arg("--home")
            .arg(place.home())
            // it ends with its input: even if this process is killed, nothing goes on
            .args(["run", "--input", "stdin", "--exit-when-done", "--log-level", "warn"])
            .env_remove("MIDIMON_LOG")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(cannot)?;
        let plugin_log = home.logs_dir().join(format!("{id}.log"));
        // what the one before has logged is on the screen already
        let seen = Log::open_at_tail(&plugin_log, 0).map(|(log, _)| log).unwrap_or_default();
        let logs = [(plugin_log, seen), (daemon_log, Log::default())];
        Ok(Self { daemon, home, id: id.clone(), logs })
    }

    /// Waits until the plugin is ready; its process' id.
    pub fn wait_ready(&mut self, mut stopped: impl FnMut() -> bool) -> Result<i32, CliError> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            if let Some(status) = self.daemon.try_wait().map_err(|error| CliError::Failed(error.to_string()))? {
                return Err(CliError::Failed(format!("the daemon has ended ({status})")));
            }
            if stopped() {
                return Err(CliError::Failed("interrupted".to_owned()));
            }
            match self.look() {
                Ok(Some(pid)) => return Ok(pid),
                Ok(None) | Err(CliError::Client(ClientError::NoDaemon | ClientError::NoSocket { .. })) => {}
                Err(error) => return Err(error),
            }
            if Instant::now() >= deadline {
                let seconds = READY_WITHIN.as_secs();
                return Err(CliError::Failed(format!("the plugin was not ready within {seconds} s")));
            }
            std::thread::sleep(POLL);
        }
    }

    /// The plugin's process when it is ready; an error when it will not be.
    fn look(&self) -> Result<Option<i32>, CliError> {
        let mut client = Client::connect(&self.home)?;
        let workers: Vec<WorkerStatus> = client.call(&Request::WorkerList)?;
        let Some(worker) = workers.into_iter().find(|worker| worker.id == self.id) else {
            let status: Status = client.call(&Request::Status)?;
            let about = format!("plugin {}:", self.id);
            return match status.problems.into_iter().find(|problem| problem.starts_with(&about)) {
                Some(problem) => Err(CliError::Failed(problem)),
                None => Ok(None),
            };
        };
        match worker.state {
            WorkerState::Ready | WorkerState::Busy => Ok(worker.pid),
            WorkerState::Backoff | WorkerState::Quarantined | WorkerState::Failed | WorkerState::Disabled => {
                let why = worker.reason.or(worker.last_end).unwrap_or_default();
                Err(CliError::Failed(format!("the plugin does not start: {why}")))
            }
            _ => Ok(None),
        }
    }

    pub fn call(&mut self, action: &str, params: Params, velocity: u8) -> Result<String, CliError> {
        let request =
            Request::PluginCall { id: self.id.clone(), action: action.to_owned(), params, velocity: Some(velocity) };
        Ok(Client::connect(&self.home)?.call(&request)?)
    }

    /// What was logged since the last look. A log that is not there yet has nothing.
    pub fn new_lines(&mut self) -> Vec<String> {
        self.logs.iter_mut().flat_map(|(path, log)| log.new_lines(path).unwrap_or_default()).collect()
    }
}

impl Session {
    /// Ends it, and gives what was logged to the last.
    pub fn finish(mut self) -> Vec<String> {
        self.stop();
        self.new_lines()
    }

    fn stop(&mut self) {
        drop(self.daemon.stdin.take());
        let deadline = Instant::now() + ENDS_WITHIN;
        while Instant::now() < deadline {
            match self.daemon.try_wait() {
                Ok(None) => std::thread::sleep(POLL),
                _ => return,
            }
        }
        let _ = self.daemon.kill(); // it may have ended at last
        let _ = self.daemon.wait();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop();
    }
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> CliError {
    CliError::Failed(format!("cannot {what} '{}': {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_one_whatever_the_directory_is_called() {
        let plugins = Path::new("/tmp/it's \"odd\"\\/plugins");
        let grants = ["filesystem".parse().unwrap(), "network:localhost:1".parse().unwrap()];
        let id: PluginId = "hello".parse().unwrap();
        let text = configuration(plugins, &id, &grants);
        let read: toml::Table = text.parse().unwrap();
        assert_eq!(read["plugins"]["dir"].as_str(), plugins.to_str());
        assert_eq!(read["plugins"]["hello"]["grants"][1].as_str(), Some("network:localhost:1"));
    }

    #[test]
    fn a_line_of_toml_sets_what_a_setting_takes_as_text() {
        let set = |line: &str| assignments(line).unwrap().remove(0);
        for (line, text) in [("a = 'x \"y\"'", "x \"y\""), ("a = 7", "7"), ("a = true", "true"), ("a = 0.5", "0.5")] {
            assert_eq!(set(line), ("a".to_owned(), text.to_owned()));
        }
        assert!(assignments("a").unwrap_err().to_string().contains("name = \"value\""));
    }

    #[test]
    fn a_place_is_private_and_gone_when_dropped() {
        use std::os::unix::fs::PermissionsExt;
        let place = Place::new().unwrap();
        let path = place.path.clone();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        drop(place);
        assert!(!path.exists());
    }
}
