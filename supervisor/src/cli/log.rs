//! Where the daemon's own log goes.

use super::{CliError, output};
use crate::daemon::RunOptions;
use crate::mapping::load_file;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

/// Starts the log. The level is the one asked for, else `MIDIMON_LOG`, else the
/// configuration's, else info; it goes to the configuration's file or to standard error.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn start(level: Option<LevelFilter>, options: &RunOptions) -> Result<(), CliError> {
    let path = options.config.clone().unwrap_or_else(|| options.home.config_file());
    // what is wrong with the configuration is for the daemon to say, in this log
    let logging = load_file(&path).map(|loaded| loaded.logging).unwrap_or_default();
    let configured = logging.level.and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    let filter = match level {
        Some(level) => EnvFilter::default().add_directive(level.into()),
        None => {
            EnvFilter::builder().with_default_directive(configured.into()).with_env_var("MIDIMON_LOG").from_env_lossy()
        }
    };
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    match logging.file {
        None => log.with_writer(io::stderr).with_ansi(output::coloured_stderr()).init(),
        Some(file) => {
            let file = beside(&path, Path::new(&file));
            let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(&file);
            let opened = opened.map_err(|error| {
                CliError::Failed(format!("cannot write `file` under [logging], '{}': {error}", file.display()))
            })?;
            log.with_writer(Mutex::new(opened)).with_ansi(false).init();
        }
    }
    Ok(())
}

/// Relative paths in a configuration start at its folder.
fn beside(config: &Path, file: &Path) -> PathBuf {
    config.parent().map_or_else(|| file.to_owned(), |folder| folder.join(file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_log_file_lies_beside_the_configuration() {
        assert_eq!(beside(Path::new("/h/config.toml"), Path::new("a.log")), Path::new("/h/a.log"));
        assert_eq!(beside(Path::new("/h/config.toml"), Path::new("/var/a.log")), Path::new("/var/a.log"));
        assert_eq!(beside(Path::new("config.toml"), Path::new("a.log")), Path::new("a.log"));
    }
}
