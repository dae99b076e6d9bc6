//! A home of its own for a daemon.

use crate::binaries::Binaries;
use crate::refusal;
use crate::web::Authority;
use crate::{Config, Daemon, Refusal};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// A home with a plugin directory; gone when dropped.
#[derive(Debug)]
pub struct Bed {
    directory: TempDir,
    /// What the kernel refuses to every program that is started here.
    refusals: Vec<Refusal>,
    /// What every program that is started here finds in its environment besides this process's.
    environment: Vec<(&'static str, OsString)>,
}

impl Default for Bed {
    fn default() -> Self {
        Self::new()
    }
}

impl Bed {
    /// An empty one.
    ///
    /// # Panics
    /// Nothing is built, or no directory can be made.
    #[must_use]
    pub fn new() -> Self {
        Binaries::get();
        let directory = tempfile::Builder::new().prefix("midimon-").tempdir().expect("a temporary directory");
        let bed = Self { directory, refusals: Vec::new(), environment: Vec::new() };
        fs::create_dir(bed.plugin_dir()).expect("a plugin directory");
        bed
    }

    /// The same on a kernel that refuses this to midimon and all that it starts.
    ///
    /// # Panics
    /// The launcher cannot be compiled.
    #[must_use]
    pub fn refusing(mut self, refusals: &[Refusal]) -> Self {
        refusal::compile(&self.launcher());
        self.refusals = refusals.to_vec();
        self
    }

    /// The same on a system that knows this authority alone.
    ///
    /// # Panics
    /// Its certificate cannot be written.
    #[must_use]
    pub fn trusting(self, authority: &Authority) -> Self {
        let roots = self.path("roots.pem");
        fs::write(&roots, authority.pem()).expect("a file of certificates");
        self.variable("SSL_CERT_FILE", roots).variable("SSL_CERT_DIR", "")
    }

    /// The same with this variable in the environment of every program that is started here.
    #[must_use]
    pub fn variable(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.environment.push((name, value.into()));
        self
    }

    fn launcher(&self) -> PathBuf {
        self.path("refuse")
    }

    /// The daemon's home.
    #[must_use]
    pub fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    /// What `[plugins] dir` says.
    #[must_use]
    pub fn plugin_dir(&self) -> PathBuf {
        self.directory.path().join("dev")
    }

    /// A place for a test's own files.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Puts an example or fixture plugin into the plugin directory.
    ///
    /// # Panics
    /// It was not built.
    pub fn install(&self, id: &str) -> PathBuf {
        self.install_as(id, id)
    }

    /// As [`Self::install`], as a plugin of another id.
    ///
    /// # Panics
    /// It was not built.
    pub fn install_as(&self, id: &str, new_id: &str) -> PathBuf {
        let (from, to) = (Binaries::get().plugin(id), self.plugin_dir().join(new_id));
        fs::create_dir_all(&to).expect("a folder for the plugin");
        for entry in fs::read_dir(&from).expect("the plugin's folder") {
            let entry = entry.expect("an entry of the plugin's folder");
            fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy of the plugin");
        }
        let manifest = to.join("plugin.toml");
        let text = fs::read_to_string(&manifest).expect("the plugin's manifest");
        fs::write(&manifest, text.replace(&format!("id = \"{id}\""), &format!("id = \"{new_id}\"")))
            .expect("the plugin's manifest written");
        to
    }

    /// Makes a plugin from a file of code: a `.wasm` or `.so`, told by `entry`.
    /// `more` is added to its manifest.
    ///
    /// # Panics
    /// Its files cannot be written.
    pub fn write_plugin(&self, id: &str, entry: &str, code: &[u8], more: &str) -> PathBuf {
        let folder = self.plugin_dir().join(id);
        fs::create_dir_all(&folder).expect("a folder for the plugin");
        let kind = if Path::new(entry).extension() == Some(OsStr::new("wasm")) { "wasm" } else { "native" };
        let manifest = format!(
            "schema = 1\nid = \"{id}\"\nname = \"{id}\"\nversion = \"1.0.0\"\nkind = \"{kind}\"\nentry = \"{entry}\"\n{more}"
        );
        fs::write(folder.join("plugin.toml"), manifest).expect("a manifest");
        fs::write(folder.join(entry), code).expect("the plugin's code");
        folder
    }

    /// Makes a WASM plugin from its text form.
    ///
    /// # Panics
    /// The text is not WASM.
    pub fn write_guest(&self, id: &str, text: &str) -> PathBuf {
        let code = wat::parse_str(text).unwrap_or_else(|error| panic!("{id}: {error}"));
        self.write_plugin(id, "guest.wasm", &code, "")
    }

    /// Where the configuration lies.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.home().join("config.toml")
    }

    /// Writes the configuration, as an editor that saves safely does.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn configure(&self, config: &Config) {
        self.configure_text(&config.text(&self.plugin_dir().to_string_lossy()));
    }

    /// Writes the configuration as it is.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn configure_text(&self, text: &str) {
        fs::create_dir_all(self.home()).expect("a home");
        let next = self.home().join(".config.toml.new");
        fs::write(&next, text).expect("a configuration");
        fs::rename(next, self.config_file()).expect("the configuration in its place");
    }

    /// The program with this home, and nothing of this process's environment
    /// that could lead it elsewhere.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let midimon = Binaries::get().midimon();
        let mut command = if self.refusals.is_empty() {
            Command::new(midimon)
        } else {
            let mut command = Command::new(self.launcher());
            command.args(self.refusals.iter().map(Refusal::rule)).arg("--").arg(midimon);
            command
        };
        command.arg("--home").arg(self.home()).args(arguments);
        for variable in ["MIDIMON_HOME", "MIDIMON_LOG", "NO_COLOR", "CLICOLOR_FORCE", "DISPLAY", "WAYLAND_DISPLAY"] {
            command.env_remove(variable);
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command of the command line to its end.
    ///
    /// # Panics
    /// The program cannot be started.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("midimon runs")
    }

    /// Starts a daemon that takes raw MIDI bytes, and waits until it answers.
    ///
    /// # Panics
    /// It does not answer.
    #[must_use]
    pub fn start(&self) -> Daemon {
        self.start_with(&["--input", "stdin"])
    }

    /// How long the log files of a plugin are, in bytes: the one that is written, and the one before.
    ///
    /// # Panics
    /// There is no log of anybody.
    #[must_use]
    pub fn log_sizes(&self, id: &str) -> Vec<u64> {
        let (now, before) = (format!("{id}.log"), format!("{id}.log."));
        let logs = fs::read_dir(self.home().join("logs")).expect("the logs").map(|entry| entry.expect("an entry"));
        let is_its = |name: &str| name == now || name.starts_with(&before);
        let its = logs.filter(|entry| entry.file_name().to_str().is_some_and(is_its));
        its.map(|entry| entry.metadata().expect("a log").len()).collect()
    }

    /// As [`Self::start`], with other arguments of `midimon run`.
    ///
    /// # Panics
    /// It does not answer.
    #[must_use]
    pub fn start_with(&self, arguments: &[&str]) -> Daemon {
        self.start_in(arguments, &[])
    }

    /// As [`Self::start_with`], with these variables in its environment.
    ///
    /// # Panics
    /// It does not answer.
    #[must_use]
    pub fn start_in(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Daemon {
        Daemon::start(self, arguments, environment)
    }
}
