//! Compiling modules and components ahead of time, in a process of its own: a compiler is a large surface, and
//! serving workers are small without it.

pub mod shortcut;

use midimon_shared::limits::MAX_CODE;

/// Why there is no compiled code.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum CompileError {
    #[error("neither a WebAssembly module nor a component: {0}")]
    NotWasm(&'static str),
    #[error("it has over {MAX_CODE} bytes")]
    TooLarge,
    #[error("not valid WebAssembly: {0}")]
    Invalid(String),
    #[error("{0}")]
    Engine(String),
}

/// What a file of WebAssembly is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wasm {
    /// A core module.
    Module,
    /// A component.
    Component,
}

/// Looks at the first bytes, which tell what a file is.
///
/// # Errors
/// It is neither.
pub fn check_magic(code: &[u8]) -> Result<Wasm, CompileError> {
    if code.len() as u64 > MAX_CODE {
        return Err(CompileError::TooLarge);
    }
    match code {
        [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => Ok(Wasm::Module),
        [b'\0', b'a', b's', b'm', 0x0D, 0, 1, 0, ..] => Ok(Wasm::Component),
        [b'\0', b'a', b's', b'm', _, _, 1, 0, ..] => Err(CompileError::NotWasm("it is a component of another version")),
        [b'\0', b'a', b's', b'm', _, _, _, _, ..] => Err(CompileError::NotWasm("its version is not 1")),
        [] => Err(CompileError::NotWasm("it is empty")),
        _ if b"\0asm\x01\0\0\0".starts_with(code) || b"\0asm\x0d\0\x01\0".starts_with(code) => {
            Err(CompileError::NotWasm("it is cut short"))
        }
        [0x7F, b'E', b'L', b'F', ..] => Err(CompileError::NotWasm("it is a native library or program")),
        _ => Err(CompileError::NotWasm("it does not start with \\0asm")),
    }
}

#[cfg(feature = "compile")]
mod with_compiler {
    use super::shortcut::shortened;
    use super::{CompileError, Wasm, check_magic};
    use std::hash::{DefaultHasher, Hash, Hasher};
    use wasmtime::Engine;

    fn engine() -> Result<Engine, CompileError> {
        Engine::new(&crate::wasm::config()).map_err(|error| CompileError::Engine(error.to_string()))
    }

    /// Compiles a core module or a component for this machine and for [`config`](crate::wasm::config).
    ///
    /// # Errors
    /// See [`CompileError`].
    pub fn compile(code: &[u8]) -> Result<Vec<u8>, CompileError> {
        let (wasm, engine) = (check_magic(code)?, engine()?);
        let compiled = match wasm {
            Wasm::Module => engine.precompile_module(code),
            Wasm::Component => match shortened(code).map(|code| engine.precompile_component(&code)) {
                Some(Ok(compiled)) => Ok(compiled),
                _ => engine.precompile_component(code),
            },
        };
        compiled.map_err(|error| CompileError::Invalid(format!("{error:#}")))
    }

    /// A text that is the same as long as compiled code stays usable: it changes with this
    /// program, wasmtime, the settings, the processor's features and what is done to components first.
    ///
    /// # Errors
    /// The compiler cannot be set up.
    pub fn compatibility_key() -> Result<String, CompileError> {
        let mut hasher = DefaultHasher::new();
        engine()?.precompile_compatibility_hash().hash(&mut hasher);
        include_str!("compile/shortcut.rs").hash(&mut hasher);
        Ok(format!("{}-{:016x}", env!("CARGO_PKG_VERSION"), hasher.finish()))
    }
}

#[cfg(feature = "compile")]
pub use with_compiler::{compatibility_key, compile};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_apart_by_their_first_bytes() {
        let error = |bytes: &[u8]| check_magic(bytes).unwrap_err().to_string();
        assert_eq!(check_magic(b"\0asm\x01\0\0\0rest").unwrap(), Wasm::Module);
        assert_eq!(check_magic(b"\0asm\x0d\0\x01\0rest").unwrap(), Wasm::Component);
        assert!(error(b"\0asm\x0c\0\x01\0").contains("component of another version"));
        assert!(error(b"\0asm\x0d\0\x01").contains("cut short"));
        assert!(error(b"\0asm\x02\0\0\0").contains("version"));
        assert!(error(b"\0asm\x01").contains("cut short"));
        assert!(error(b"").contains("empty"));
        assert!(error(b"\x7fELF\x02\x01\x01").contains("native"));
        assert!(error(b"hello").contains("neither a WebAssembly module nor a component"));
    }
}
