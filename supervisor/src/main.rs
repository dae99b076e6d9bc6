//! The `midimon` program.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    midimon::cli::main()
}
