//! Where an index and its packages come from. What a source gives is bounded and
//! not believed; whoever keeps it may change or hold back whatever is there.

use super::{FILE_NAME, MAX_BYTES, SIGNATURE_NAME};
use crate::plugins::files::{FileError, open_dir, open_regular, read_regular};
use crate::plugins::manifest::files::{NameFault, check_name};
use crate::plugins::minisign;
use crate::plugins::package::{MAX_PACKAGE, PackageError, PackageFile};
use std::io;
use std::path::{Path, PathBuf};

/// An index as it was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// `index.json`, at most [`MAX_BYTES`].
    pub bytes: Vec<u8>,
    /// `index.json.minisig`, at most [`minisign::MAX_TEXT`] bytes.
    pub signature: String,
}

/// Why something could not be fetched.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum FetchError {
    #[error("the index's directory '{}' cannot be opened: {source}", path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error("'{}' {source}", path.display())]
    File { path: PathBuf, source: FileError },
    #[error("there is no '{}', so nobody has signed this index: it is not used", path.display())]
    Unsigned { path: PathBuf },
    #[error("'{}' is not text; a signature is four lines of text", path.display())]
    NotText { path: PathBuf },
    #[error("'{name}' is no plain file name: it {fault}")]
    Name { name: String, fault: NameFault },
    #[error(transparent)]
    Package(#[from] PackageError),
}

/// A place an index lies in.
pub trait Source {
    /// The index and its signature.
    ///
    /// # Errors
    /// See [`FetchError`].
    fn fetch_index(&self) -> Result<Signed, FetchError>;

    /// The package in the file `name` beside the index.
    ///
    /// # Errors
    /// See [`FetchError`].
    fn fetch_package(&self, name: &str) -> Result<PackageFile, FetchError>;
}

/// A directory of this machine. Only regular files in it are read, by plain names
/// and through no link.
#[derive(Clone, Debug)]
pub struct DirectorySource {
    path: PathBuf,
}

impl DirectorySource {
    /// The directory at `path`, which the user named.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, FetchError> {
        let dir = open_dir(&self.path).map_err(|source| FetchError::Directory { path: self.path.clone(), source })?;
        read_regular(dir, name, limit).map_err(|source| FetchError::File { path: self.path.join(name), source })
    }
}

impl Source for DirectorySource {
    fn fetch_index(&self) -> Result<Signed, FetchError> {
        let bytes = self.read(FILE_NAME, MAX_BYTES)?;
        let path = || self.path.join(SIGNATURE_NAME);
        let signature = match self.read(SIGNATURE_NAME, minisign::MAX_TEXT as u64) {
            Err(FetchError::File { source: FileError::Missing, .. }) => {
                return Err(FetchError::Unsigned { path: path() });
            }
            read => read?,
        };
        let signature = String::from_utf8(signature).map_err(|_| FetchError::NotText { path: path() })?;
        Ok(Signed { bytes, signature })
    }

    fn fetch_package(&self, name: &str) -> Result<PackageFile, FetchError> {
        check_name(name).map_err(|fault| FetchError::Name { name: name.escape_debug().to_string(), fault })?;
        let dir = open_dir(&self.path).map_err(|source| FetchError::Directory { path: self.path.clone(), source })?;
        let opened = open_regular(dir, name, MAX_PACKAGE);
        let (mut file, _) = opened.map_err(|source| FetchError::File { path: self.path.join(name), source })?;
        Ok(PackageFile::take(&mut file)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_plain_files_of_the_directory_itself_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let source = DirectorySource::new(dir.path());
        assert!(matches!(source.fetch_index(), Err(FetchError::File { source: FileError::Missing, .. })));
        fs::write(at(FILE_NAME), "{}").unwrap();
        assert!(matches!(source.fetch_index(), Err(FetchError::Unsigned { .. })));
        fs::write(at(SIGNATURE_NAME), "s").unwrap();
        assert_eq!(source.fetch_index().unwrap(), Signed { bytes: b"{}".to_vec(), signature: "s".to_owned() });
        fs::write(at("a.mmp"), "123").unwrap();
        assert_eq!(source.fetch_package("a.mmp").unwrap().len(), 3);
        symlink(at("a.mmp"), at("link.mmp")).unwrap();
        assert!(matches!(source.fetch_package("link.mmp"), Err(FetchError::File { source: FileError::Link, .. })));
        fs::create_dir(at("sub")).unwrap();
        fs::write(at("sub/b.mmp"), "123").unwrap();
        for name in ["sub/b.mmp", "../a.mmp", "/etc/passwd", "", "..", ".a"] {
            assert!(matches!(source.fetch_package(name), Err(FetchError::Name { .. })), "{name}");
        }
        assert!(matches!(source.fetch_package("sub"), Err(FetchError::File { source: FileError::NotRegular, .. })));
    }

    #[test]
    fn an_endless_or_linked_index_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let source = DirectorySource::new(dir.path());
        fs::write(at("real"), "{}").unwrap();
        symlink(at("real"), at(FILE_NAME)).unwrap();
        assert!(matches!(source.fetch_index(), Err(FetchError::File { source: FileError::Link, .. })));
        fs::remove_file(at(FILE_NAME)).unwrap();
        fs::File::create(at(FILE_NAME)).unwrap().set_len(MAX_BYTES + 1).unwrap();
        assert!(matches!(source.fetch_index(), Err(FetchError::File { source: FileError::TooLarge { .. }, .. })));
        fs::File::create(at(FILE_NAME)).unwrap().set_len(MAX_BYTES).unwrap();
        fs::write(at(SIGNATURE_NAME), vec![b'x'; minisign::MAX_TEXT + 1]).unwrap();
        assert!(matches!(source.fetch_index(), Err(FetchError::File { source: FileError::TooLarge { .. }, .. })));
    }
}
