//! How a worker or a compile job says, by its exit code alone, at which step it ended.

use std::fmt;

macro_rules! exits {
    ($($(#[doc = $doc:literal])* $name:ident = $code:literal, $sentence:literal;)*) => {
        /// The exit codes of `midimon-worker`, `midimon-worker-wasm` and `midimon-compile`.
        ///
        /// A plugin can call `exit` with any of them, so they explain and never prove.
        /// Where there is more to say, it is the last line of the log pipe.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum WorkerExit {
            $($(#[doc = $doc])* $name = $code,)*
        }

        impl WorkerExit {
            /// Every exit there is.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// What happened, as a clause: "the worker ended: …".
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }

            /// The exit behind a process's exit code.
            #[must_use]
            pub const fn from_code(code: i32) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }
        }
    };
}

exits! {
    /// Asked to, or the supervisor is gone.
    Done = 0, "it was asked to stop";
    /// The arguments are not those of this version's supervisor.
    Arguments = 100, "it was started with wrong arguments: are midimon and its workers of one version?";
    /// More than one thread before the sandbox.
    Threads = 101, "it had more than one thread before its sandbox was entered";
    /// The descriptors are not 0 to 5 of the right kinds.
    Descriptors = 102, "it was not given exactly its six descriptors";
    /// The environment is not empty.
    Environment = 103, "its environment was not empty";
    /// Signals could not be reset.
    Signals = 104, "its signal handling could not be reset";
    /// A resource limit could not be set.
    Limits = 105, "a resource limit could not be set";
    /// Priority or OOM score could not be set.
    Priority = 106, "its priority or OOM score could not be lowered";
    /// Root's capabilities could not be given up.
    Capabilities = 107, "root's capabilities could not be given up";
    /// The death signal could not be set, or the supervisor is already gone.
    Parent = 108, "it could not tie its life to the supervisor's";
    /// Could not become non-dumpable.
    Dumpable = 109, "it could not be made non-dumpable";
    /// Could not set no_new_privs.
    NoNewPrivs = 110, "no_new_privs could not be set";
    /// Landlock could not be entered, or does not refuse what it must.
    Landlock = 111, "Landlock could not be entered (it needs Linux 5.13 with Landlock switched on)";
    /// The first system-call filter could not be installed, or does not refuse what it must.
    Seccomp = 112, "its system-call filter could not be installed";
    /// The second system-call filter could not be installed, or does not refuse what it must.
    Lockdown = 113, "its second system-call filter could not be installed";
    /// The handler that names forbidden system calls could not be installed.
    ViolationHandler = 114, "the handler that names forbidden system calls could not be installed";
    /// The supervisor sent what is no command, or one that is out of place.
    Channel = 115, "a command from the supervisor was malformed or out of place";
    /// Events can no longer be written.
    Events = 116, "its events could not be written";
    /// No sealed code came with `Load`.
    Code = 117, "the code that came was not one sealed memfd";
    /// Loading failed; `LoadFailed` was sent before.
    Load = 118, "its plugin could not be loaded";
    /// `midimon-compile`: the bytes are no module of the supported ABI.
    CompileInput = 120, "the file is not a WebAssembly core module that can run here";
    /// `midimon-compile`: the artifact could not be written.
    CompileOutput = 121, "the compiled code could not be written";
    /// `midimon-compile`: the compiler could not be set up. wasmtime refuses one for its settings alone, which are
    /// constants of this program: nothing from outside leads here, a build of ours that contradicts itself would.
    CompileEngine = 122, "the WebAssembly compiler could not be set up";
}

impl fmt::Display for WorkerExit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.sentence())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_is_found_again_by_its_code() {
        for &exit in WorkerExit::ALL {
            assert_eq!(WorkerExit::from_code(exit as i32), Some(exit));
        }
        assert_eq!(WorkerExit::from_code(1), None);
    }
}
