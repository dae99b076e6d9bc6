//! The arguments of the worker programs: written by the supervisor, read by the worker.
//!
//! A worker's descriptors are 0 = `/dev/null`, 1 and 2 = its log pipe, 3 = commands,
//! 4 = events, 5 = the request socket; its environment is empty. A compile job's are
//! 0 = `/dev/null`, 1 and 2 = its log pipe, 3 = a sealed memfd with the module,
//! 4 = where the artifact goes (a pipe or a file).

use crate::id::PluginId;
use std::str::FromStr;

/// Why arguments were not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum InvalidArgs {
    #[error("unknown argument '{}'", .0.escape_debug())]
    Unknown(String),
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0} is given twice")]
    Twice(&'static str),
    #[error("{0} has no valid value")]
    Value(&'static str),
}

/// What a worker is told on its command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpawnArgs {
    /// Whose worker it is.
    pub plugin: PluginId,
    /// The process that must still be its parent.
    pub parent_pid: i32,
    /// RLIMIT_DATA of the process, in bytes. A WASM worker adds
    /// [`WASM_OVERHEAD`] for the runtime, so that the guest's own limit is met first.
    pub memory_bytes: u64,
    /// RLIMIT_NOFILE.
    pub nofile: u64,
    /// RLIMIT_FSIZE: the largest file it can write, in bytes.
    pub fsize_bytes: u64,
    /// Its data directory, an absolute path, when it may have one: the one place it can write to.
    pub data_dir: Option<String>,
    /// What a forbidden system call does.
    pub violations: Violations,
    /// Whether it goes on without a layer that this system lacks.
    pub missing_layers: MissingLayers,
}

/// What a forbidden system call does to a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Violations {
    /// It is reported, and the worker ends.
    #[default]
    End,
    /// It is reported and fails with EPERM: for authors, never for an installed package.
    Report,
}

/// What a worker does where the system lacks a layer of the sandbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingLayers {
    /// It ends.
    #[default]
    Refuse,
    /// It goes on without it, and says so: the user's own word for one plugin.
    Accept,
}

macro_rules! words {
    ($name:ident: $($variant:ident = $word:literal),*) => {
        impl $name {
            const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }
        }

        impl FromStr for $name {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                match text { $($word => Ok(Self::$variant),)* _ => Err(()) }
            }
        }
    };
}

words!(Violations: End = "end", Report = "report");
words!(MissingLayers: Refuse = "refuse", Accept = "accept");

/// A path, or nothing: an empty argument.
struct OptionalPath(Option<String>);

impl FromStr for OptionalPath {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "" => Ok(Self(None)),
            path if path.starts_with('/') => Ok(Self(Some(path.to_owned()))),
            _ => Err(()),
        }
    }
}

/// What a WASM worker's process may take beyond its guest's memories, in bytes.
pub const WASM_OVERHEAD: u64 = 64 * 1024 * 1024;

impl SpawnArgs {
    /// The arguments after the program's name.
    #[must_use]
    pub fn to_argv(&self) -> Vec<String> {
        let Self { plugin, parent_pid, memory_bytes, nofile, fsize_bytes, data_dir, violations, missing_layers } = self;
        [
            ("--plugin", plugin.to_string()),
            ("--parent", parent_pid.to_string()),
            ("--memory-bytes", memory_bytes.to_string()),
            ("--nofile", nofile.to_string()),
            ("--fsize", fsize_bytes.to_string()),
            ("--data-dir", data_dir.clone().unwrap_or_default()),
            ("--violations", violations.word().to_owned()),
            ("--missing-layers", missing_layers.word().to_owned()),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect()
    }

    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    /// Anything but each of them once, with a valid value.
    pub fn from_argv(argv: impl IntoIterator<Item = String>) -> Result<Self, InvalidArgs> {
        let names = [
            "--plugin",
            "--parent",
            "--memory-bytes",
            "--nofile",
            "--fsize",
            "--data-dir",
            "--violations",
            "--missing-layers",
        ];
        let mut options = Options::read(argv, names)?;
        Ok(Self {
            plugin: options.take()?,
            parent_pid: options.take()?,
            memory_bytes: options.take()?,
            nofile: options.take()?,
            fsize_bytes: options.take()?,
            data_dir: options.take::<OptionalPath>()?.0,
            violations: options.take()?,
            missing_layers: options.take()?,
        })
    }
}

/// What a compile job is told on its command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompileArgs {
    /// The process that must still be its parent.
    pub parent_pid: i32,
    /// RLIMIT_DATA, in bytes; 512 MiB compiles every module of reasonable size.
    pub memory_bytes: u64,
    /// RLIMIT_CPU, in seconds.
    pub cpu_seconds: u64,
}

impl CompileArgs {
    /// The arguments after the program's name.
    #[must_use]
    pub fn to_argv(&self) -> Vec<String> {
        let Self { parent_pid, memory_bytes, cpu_seconds } = self;
        [
            ("--parent", parent_pid.to_string()),
            ("--memory-bytes", memory_bytes.to_string()),
            ("--cpu-seconds", cpu_seconds.to_string()),
        ]
        .into_iter()
        .flat_map(|(name, value)| [name.to_owned(), value])
        .collect()
    }

    /// Reads the arguments after the program's name.
    ///
    /// # Errors
    /// Anything but each of them once, with a valid value.
    pub fn from_argv(argv: impl IntoIterator<Item = String>) -> Result<Self, InvalidArgs> {
        let mut options = Options::read(argv, ["--parent", "--memory-bytes", "--cpu-seconds"])?;
        Ok(Self { parent_pid: options.take()?, memory_bytes: options.take()?, cpu_seconds: options.take()? })
    }
}

/// `--name value` pairs, each name once; taken in the order of `names`.
struct Options<const N: usize> {
    names: [&'static str; N],
    values: [Option<String>; N],
    next: usize,
}

impl<const N: usize> Options<N> {
    fn read(argv: impl IntoIterator<Item = String>, names: [&'static str; N]) -> Result<Self, InvalidArgs> {
        let mut values = [const { None }; N];
        let mut argv = argv.into_iter();
        while let Some(argument) = argv.next() {
            let Some(index) = names.iter().position(|name| **name == argument) else {
                return Err(InvalidArgs::Unknown(argument));
            };
            let value = argv.next().ok_or(InvalidArgs::Value(names[index]))?;
            if values[index].replace(value).is_some() {
                return Err(InvalidArgs::Twice(names[index]));
            }
        }
        Ok(Self { names, values, next: 0 })
    }

    fn take<T: FromStr>(&mut self) -> Result<T, InvalidArgs> {
        let (name, value) = (self.names[self.next], self.values[self.next].take());
        self.next += 1;
        value.ok_or(InvalidArgs::Missing(name))?.parse().map_err(|_| InvalidArgs::Value(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> SpawnArgs {
        SpawnArgs {
            plugin: "echo".parse().unwrap(),
            parent_pid: 4242,
            memory_bytes: 1 << 27,
            nofile: 64,
            fsize_bytes: 1 << 26,
            data_dir: Some("/var/lib/data dir/echo".into()),
            violations: Violations::Report,
            missing_layers: MissingLayers::Refuse,
        }
    }

    #[test]
    fn what_the_supervisor_writes_the_worker_reads() {
        assert_eq!(SpawnArgs::from_argv(args().to_argv()), Ok(args()));
        let bare = SpawnArgs { data_dir: None, violations: Violations::End, ..args() };
        assert_eq!(SpawnArgs::from_argv(bare.to_argv()), Ok(bare));
        let compile = CompileArgs { parent_pid: 1, memory_bytes: 2, cpu_seconds: 3 };
        assert_eq!(CompileArgs::from_argv(compile.to_argv()), Ok(compile));
    }

    #[test]
    fn arguments_are_all_there_once_and_valid_or_refused() {
        let argv = |change: &dyn Fn(&mut Vec<String>)| {
            let mut argv = args().to_argv();
            change(&mut argv);
            SpawnArgs::from_argv(argv)
        };
        assert_eq!(argv(&|argv| drop(argv.drain(2..4))), Err(InvalidArgs::Missing("--parent")));
        assert_eq!(argv(&|argv| argv.extend_from_within(2..4)), Err(InvalidArgs::Twice("--parent")));
        assert_eq!(argv(&|argv| argv[3] = "-x".into()), Err(InvalidArgs::Value("--parent")));
        assert_eq!(argv(&|argv| drop(argv.pop())), Err(InvalidArgs::Value("--missing-layers")));
        assert_eq!(argv(&|argv| argv[11] = "relative".into()), Err(InvalidArgs::Value("--data-dir")));
        assert_eq!(argv(&|argv| argv[13] = "ignore".into()), Err(InvalidArgs::Value("--violations")));
        assert_eq!(argv(&|argv| argv.push("--more".into())), Err(InvalidArgs::Unknown("--more".into())));
    }
}
