//! A plugin's code on its way to a worker: read once into a sealed memfd and
//! hashed there, so that what was checked is what runs.

use super::files::{FileError, open_dir, open_regular};
use crate::workers::status::PluginKind;
use memchr::memmem::Finder;
use midimon_shared::limits::MAX_CODE;
use midimon_shared::protocol::CodeKind;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use sha2::{Digest, Sha256};
use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// How the file name of native code ends.
pub const NATIVE_SUFFIX: &str = ".so";

/// Code that can no longer change.
#[derive(Debug)]
pub struct SealedCode {
    file: File,
    digest: [u8; 32],
    len: u64,
}

/// Bytes that are read at once.
const PIECE: usize = 64 * 1024;

/// Why code cannot be used.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum CodeError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: FileError },
    #[error("{}: {fault}", path.display())]
    Format { path: PathBuf, fault: FormatFault },
    #[error("cannot keep code in memory: {0}")]
    Memory(#[from] io::Error),
}

/// What is wrong with the first bytes of a code file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum FormatFault {
    #[error("is not a shared library (no ELF header); `kind = \"wasm\"` for a WASM module")]
    NotElf,
    #[error("is ELF, but no shared library; link it with -shared")]
    NotShared,
    #[error("is a shared library for another kind of machine; build it for {}", super::manifest::TARGET)]
    OtherMachine,
    #[error("is neither a WASM module nor a component; `kind = \"native\"` for a shared library")]
    NotWasm,
    #[error("is WASM of an unknown version: neither a core module of version 1 nor a component of the final format")]
    WasmVersion,
}

impl SealedCode {
    /// Reads, checks, seals and hashes the code file `name` in `dir`.
    ///
    /// # Errors
    /// See [`CodeError`].
    pub fn from_file(dir: &Path, name: &str, kind: PluginKind) -> Result<Self, CodeError> {
        let path = || dir.join(name);
        let opened = open_dir(dir).map_err(FileError::Io).and_then(|fd| open_regular(fd, name, MAX_CODE));
        let (mut file, _) = opened.map_err(|source| CodeError::File { path: path(), source })?;
        let code = Self::copy(&mut file, MAX_CODE)
            .map_err(|source| CodeError::File { path: path(), source: FileError::Io(source) })?;
        code.check(kind).map_err(|fault| CodeError::Format { path: path(), fault })?;
        Ok(code)
    }

    /// Seals what a reader gives, at most `limit` bytes of it.
    ///
    /// # Errors
    /// What the reader or the system says; `FileTooLarge` past the limit.
    pub fn copy(source: &mut impl Read, limit: u64) -> io::Result<Self> {
        let memory = create_memfd()?;
        let copied = io::copy(&mut source.take(limit + 1), &mut &memory)?;
        if copied > limit {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Self::seal(memory)
    }

    /// Seals a memfd and hashes what is in it then.
    ///
    /// # Errors
    /// What the system says: the descriptor is no memfd that can be sealed.
    pub fn seal(mut memory: File) -> io::Result<Self> {
        // whoever gets a duplicate shares its position
        memory.rewind()?;
        let seals = SealFlag::F_SEAL_WRITE | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_SEAL;
        fcntl(&memory, FcntlArg::F_ADD_SEALS(seals))?;
        let len = memory.metadata()?.len();
        let mut hasher = Sha256::new();
        read_from_start(&memory, |bytes| hasher.update(bytes))?;
        Ok(Self { file: memory, digest: hasher.finalize().into(), len })
    }

    /// SHA-256 of the code.
    #[must_use]
    pub const fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Length in bytes.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is not one byte.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Another descriptor of the same sealed memory, to give away.
    ///
    /// # Errors
    /// No more descriptors.
    pub fn duplicate(&self) -> io::Result<OwnedFd> {
        Ok(self.file.try_clone()?.into())
    }

    /// The bytes in pieces, from the first.
    ///
    /// # Errors
    /// What the system says.
    pub fn for_each_piece(&self, piece: impl FnMut(&[u8])) -> io::Result<()> {
        read_from_start(&self.file, piece)
    }

    /// Whether one of these stands somewhere in the code.
    ///
    /// # Errors
    /// What the system says.
    pub fn contains_any(&self, names: &[&str]) -> io::Result<bool> {
        let finders: Vec<Finder<'_>> = names.iter().map(|name| Finder::new(name.as_bytes())).collect();
        let longest = names.iter().map(|name| name.len()).max().unwrap_or(0);
        let mut reader = self.reader();
        let mut window = Vec::new();
        while reader.by_ref().take(PIECE as u64).read_to_end(&mut window)? > 0 {
            if finders.iter().any(|finder| finder.find(&window).is_some()) {
                return Ok(true);
            }
            // a name can begin in one piece and end in the next
            window.drain(..window.len().saturating_sub(longest));
        }
        Ok(false)
    }

    /// The bytes as a stream, from the first; streams do not disturb each other.
    #[must_use]
    pub const fn reader(&self) -> Reader<'_> {
        Reader { code: self, at: 0 }
    }

    /// What the code is by its first bytes, if it is of this kind and for this machine.
    ///
    /// # Errors
    /// What they are instead.
    pub fn check(&self, kind: PluginKind) -> Result<CodeKind, FormatFault> {
        let mut head = [0; 20];
        let mut read = 0;
        while let Ok(count @ 1..) = self.file.read_at(&mut head[read..], read as u64) {
            read += count;
        }
        match kind {
            PluginKind::Native => check_elf(&head).map(|()| CodeKind::Native),
            PluginKind::Wasm => check_wasm(&head),
        }
    }
}

/// Reads sealed bytes from the first to the last.
#[derive(Clone, Debug)]
pub struct Reader<'c> {
    code: &'c SealedCode,
    at: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.code.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl AsFd for SealedCode {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// A memfd that can be sealed.
///
/// # Errors
/// What the system says.
pub fn create_memfd() -> io::Result<File> {
    const NAME: &CStr = c"midimon-code";
    // not in nix or libc of every target yet; since Linux 6.3
    const MFD_NOEXEC_SEAL: MFdFlags = MFdFlags::from_bits_retain(8);
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    // A host with vm.memfd_noexec = 2 refuses any other; mapping it executable works all the same.
    match memfd_create(NAME, flags | MFD_NOEXEC_SEAL) {
        Err(Errno::EINVAL) => Ok(memfd_create(NAME, flags)?.into()),
        created => Ok(created?.into()),
    }
}

fn read_from_start(file: &File, mut piece: impl FnMut(&[u8])) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    let mut at = 0;
    loop {
        match file.read_at(&mut buffer, at) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                piece(&buffer[..count]);
                at += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The ELF header's fields, as <elf.h> has them.
fn check_elf(head: &[u8; 20]) -> Result<(), FormatFault> {
    const CLASS_64: u8 = 2;
    const LITTLE_ENDIAN: u8 = 1;
    const SHARED: u16 = 3;
    const MACHINE: u16 = if cfg!(target_arch = "x86_64") {
        62
    } else if cfg!(target_arch = "aarch64") {
        183
    } else {
        0
    };
    let half = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
    if head[..4] != *b"\x7fELF" {
        Err(FormatFault::NotElf)
    } else if head[4] != CLASS_64 || head[5] != LITTLE_ENDIAN || half(18) != MACHINE {
        Err(FormatFault::OtherMachine)
    } else if half(16) != SHARED {
        Err(FormatFault::NotShared)
    } else {
        Ok(())
    }
}

fn check_wasm(head: &[u8; 20]) -> Result<CodeKind, FormatFault> {
    // version and layer: 0 for modules, 1 for components
    match (&head[..4], &head[4..8]) {
        (b"\0asm", [1, 0, 0, 0]) => Ok(CodeKind::WasmCore),
        (b"\0asm", [0x0D, 0, 1, 0]) => Ok(CodeKind::WasmComponent),
        (b"\0asm", _) => Err(FormatFault::WasmVersion),
        _ => Err(FormatFault::NotWasm),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::fs;
    use std::io::Write;

    const MODULE: &[u8] = b"\0asm\x01\0\0\0";

    fn load(bytes: &[u8], kind: PluginKind) -> Result<SealedCode, CodeError> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("code"), bytes).unwrap();
        SealedCode::from_file(dir.path(), "code", kind)
    }

    fn fault(bytes: &[u8], kind: PluginKind) -> FormatFault {
        match load(bytes, kind) {
            Err(CodeError::Format { fault, .. }) => fault,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn sealed_code_is_hashed_and_never_changes_again() {
        let code = load(MODULE, PluginKind::Wasm).unwrap();
        assert_eq!(code.len(), 8);
        assert_eq!(code.digest(), <[u8; 32]>::from(Sha256::digest(MODULE)));
        let mut copy = File::from(code.duplicate().unwrap());
        assert_eq!(copy.write_at(b"x", 0).unwrap_err().raw_os_error(), Some(libc::EPERM));
        assert!(copy.set_len(1).is_err() && copy.set_len(100).is_err());
        assert!(copy.write(b"x").is_err());
        let reopened = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&copy));
        assert!(File::options().write(true).open(reopened).and_then(|mut file| file.write(b"x")).is_err());
        let mut bytes = Vec::new();
        code.for_each_piece(|piece| bytes.extend_from_slice(piece)).unwrap();
        assert_eq!(bytes, MODULE);
    }

    proptest! {
        /// Around the end of the first piece, against a search of all bytes at once.
        #[test]
        fn names_are_found_wherever_they_stand(
            before in PIECE - 24..PIECE + 4,
            text in "[ab]{0,24}",
            after in prop_oneof![Just(0), Just(PIECE)],
            names in vec("[ab]{1,8}", 1..3),
        ) {
            let bytes = [&vec![b'n'; before][..], text.as_bytes(), &vec![b'm'; after]].concat();
            let code = SealedCode::copy(&mut &bytes[..], 4 * PIECE as u64).unwrap();
            let names: Vec<_> = names.iter().map(String::as_str).collect();
            prop_assert_eq!(code.contains_any(&names).unwrap(), names.iter().any(|name| text.contains(name)));
        }
    }

    #[test]
    fn what_is_not_code_of_its_kind_is_told_apart() {
        use PluginKind::{Native, Wasm};
        assert_eq!(fault(b"", Wasm), FormatFault::NotWasm);
        assert_eq!(fault(b"\0as", Wasm), FormatFault::NotWasm);
        assert_eq!(fault(b"\0asm\x0c\0\x01\0", Wasm), FormatFault::WasmVersion);
        assert_eq!(fault(b"\0asm\x02\0\0\0", Wasm), FormatFault::WasmVersion);
        assert_eq!(fault(b"\x7fELF", Wasm), FormatFault::NotWasm);
        assert_eq!(fault(MODULE, Native), FormatFault::NotElf);
        assert_eq!(fault(b"\x7fELF\x02\x01", Native), FormatFault::OtherMachine);
        let own = fs::read("/proc/self/exe").unwrap();
        let mut executable = own[..64].to_vec();
        executable[16] = 2;
        assert_eq!(fault(&executable, Native), FormatFault::NotShared);
        executable[18] = 40;
        assert_eq!(fault(&executable, Native), FormatFault::OtherMachine);
    }

    #[test]
    fn modules_and_components_are_told_apart() {
        let kind = |bytes: &[u8]| load(bytes, PluginKind::Wasm).unwrap().check(PluginKind::Wasm);
        assert_eq!(kind(MODULE), Ok(CodeKind::WasmCore));
        assert_eq!(kind(b"\0asm\x0d\0\x01\0"), Ok(CodeKind::WasmComponent));
    }

    #[test]
    fn code_over_the_limit_is_not_taken() {
        let error = SealedCode::copy(&mut io::repeat(0), 100_000).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(SealedCode::copy(&mut &[7; 100][..], 100).unwrap().len(), 100);
    }

    #[test]
    fn a_missing_file_and_a_link_are_named() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link.so")).unwrap();
        let message = |name: &str| SealedCode::from_file(dir.path(), name, PluginKind::Native).unwrap_err().to_string();
        assert!(message("link.so").ends_with("link.so: is a symbolic link; put the file itself there"));
        assert!(message("no.so").ends_with("no.so: there is no such file"));
    }
}
