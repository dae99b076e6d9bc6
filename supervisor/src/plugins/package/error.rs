//! Why a package is refused: one sentence each, naming the cause and the fix.

use super::elf::ElfFault;
use crate::plugins::code::FormatFault;
use crate::plugins::files::FileError;
use crate::plugins::manifest::files::{MAX_FILES, NameFault};
use crate::plugins::manifest::{FILE_NAME, ManifestError, Problem};
use crate::plugins::minisign::SignatureError;
use std::io;
use std::path::PathBuf;

/// Why a package is refused.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum PackageError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: FileError },
    #[error(transparent)]
    Signature(#[from] SignatureError),
    #[error("cannot keep the package in memory: {0}")]
    Memory(#[from] io::Error),
    #[error("it is no midimon package (no zstd frame at its start); packages are made by `midimon plugin pack`")]
    NotPackage,
    #[error("its compressed data carry no checksum; make it with `midimon plugin pack`")]
    NoChecksum,
    #[error("its compressed data are damaged: {0}; get it again")]
    Damaged(io::Error),
    #[error("it is cut short; get it again")]
    Truncated,
    #[error("there are bytes after its end; nothing may stand there, get it again")]
    Trailing,
    #[error(
        "it unpacks to over {limit} bytes, more than 100 times its {length}; that is a bomb, or files of nothing to leave out"
    )]
    Ratio { length: u64, limit: u64 },
    #[error("its archive is empty; make it with `midimon plugin pack`")]
    Empty,
    #[error("its archive starts with `{0}` and not with {FILE_NAME}; make it with `midimon plugin pack`")]
    ManifestFirst(String),
    #[error("its {FILE_NAME} is not UTF-8 text")]
    NotText,
    #[error("{}", manifest_lines(.0))]
    Manifest(Vec<Problem>),
    #[error("its {FILE_NAME} lists no files; make it with `midimon plugin pack`")]
    NoList,
    #[error("`{name}` {fault}")]
    Entry { name: String, fault: EntryFault },
    #[error("`{0}` is listed in {FILE_NAME} and missing in the archive")]
    Missing(String),
    #[error("`{name}` {fault}")]
    Code { name: String, fault: FormatFault },
    #[error("`{name}` {fault}")]
    Native { name: String, fault: ElfFault },
}

fn manifest_lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("{FILE_NAME}:{problem}")).collect::<Vec<_>>().join("\n")
}

/// What is wrong with one entry of the archive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum EntryFault {
    #[error("has a damaged header (its checksum is wrong)")]
    Checksum,
    #[error("is {0}; a package has regular files only")]
    Kind(&'static str),
    #[error("is {0}; a package has plain ustar entries only, make it with `midimon plugin pack`")]
    Extension(&'static str),
    #[error("has a name that {0}; a package has plain file names only")]
    Name(&'static str),
    #[error("stands in the archive a second time")]
    Again,
    #[error("is listed as `{0}`; names differ by more than case")]
    Case(String),
    #[error("stands where `{0}` should: files come in the order of {FILE_NAME}")]
    Order(String),
    #[error("is not listed in {FILE_NAME}")]
    Unlisted,
    #[error("has a size that is no number a file can have")]
    NoSize,
    #[error("is {found} bytes long, {FILE_NAME} lists {listed}")]
    Size { found: u64, listed: u64 },
    #[error("is {size} bytes long, over the limit of {limit}")]
    TooLarge { size: u64, limit: u64 },
    #[error(
        "has an owner, a time, a mode or another field that packages leave alone; make it with `midimon plugin pack`"
    )]
    Attributes,
    #[error("does not have the SHA-256 that {FILE_NAME} lists")]
    Digest,
    #[error("is followed by bytes that belong to no file")]
    Padding,
}

/// Why a directory cannot be packed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum PackError {
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: FileError },
    #[error("{}: there is no such file; build the plugin first, it is the `entry` of {FILE_NAME}", path.display())]
    NotBuilt { path: PathBuf },
    #[error("`{name}` cannot be a file of a package: it {fault}; give it another name")]
    Name { name: String, fault: NameFault },
    #[error("`{0}` and `{1}` differ by case only; rename one of them")]
    Case(String, String),
    #[error("there are {0} files to pack, over the limit of {MAX_FILES}; shorten `include`")]
    TooMany(usize),
    #[error(
        "{}: is not what {FILE_NAME} lists in [[files]]; remove these tables, `midimon plugin pack` writes them anew",
        path.display()
    )]
    Changed { path: PathBuf },
    #[error("cannot compress the package: {0}")]
    Compress(io::Error),
    #[error(transparent)]
    Native(PackageError),
    #[error("what was packed would be refused: {0}")]
    Package(PackageError),
}
