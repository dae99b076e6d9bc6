//! Reading and writing the archive inside a package: everything is bounded
//! before it is taken, and nothing is believed before it was compared.

use super::Payload;
use super::error::{EntryFault, PackageError};
use super::header::{BLOCK, Found};
use crate::plugins::code::{Reader, SealedCode, create_memfd};
use crate::plugins::manifest::{FILE_NAME, FileEntry, MAX_BYTES, Manifest};
use std::io::{self, BufRead, BufReader, Read, Write};

/// What a small package may unpack to whatever its ratio, in bytes.
const FREE: u64 = 1024 * 1024;
/// How many times its own length a larger one may.
const RATIO: u64 = 100;
/// Largest window any frame may want, as a power of two: 128 MiB, which is the largest package.
const MAX_WINDOW_LOG: u32 = 27;
/// How hard is tried; reading costs the same.
const LEVEL: i32 = 15;
/// A frame's first bytes, and the bit of its fifth that says a checksum follows (RFC 8878, 3.1.1).
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const CHECKSUM: u8 = 1 << 2;
/// Longest header of a frame: magic, descriptor, window, dictionary, size.
const MAX_HEADER: usize = 4 + 1 + 1 + 4 + 8;

/// Compresses an archive into the one frame a package is.
///
/// # Errors
/// What zstd says.
pub fn compress(archive: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL)?;
    encoder.include_checksum(true)?;
    encoder.include_contentsize(true)?;
    encoder.set_pledged_src_size(Some(archive.len() as u64))?;
    encoder.write_all(archive)?;
    encoder.finish()
}

/// The zeros that fill a file's last block.
pub(super) fn padding(size: u64) -> usize {
    (BLOCK - (size % BLOCK as u64) as usize) % BLOCK
}

/// Everything in a package: its manifest, the manifest's text, its files.
pub(super) fn read(package: &SealedCode) -> Result<(Manifest, Vec<u8>, Vec<Payload>), PackageError> {
    let mut stream = Stream::open(package)?;
    let Some(block) = stream.header()? else { return Err(PackageError::Empty) };
    let size = Found::new(&block).manifest(MAX_BYTES)?;
    let mut bytes = vec![0; usize::try_from(size).map_err(|_| PackageError::Truncated)?];
    stream.fill(&mut bytes)?;
    stream.skip_padding(FILE_NAME, size)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| PackageError::NotText)?;
    let manifest = Manifest::parse(text).map_err(PackageError::Manifest)?;
    if manifest.files.is_empty() {
        return Err(PackageError::NoList);
    }

    let mut files = Vec::with_capacity(manifest.files.len());
    while let Some(block) = stream.header()? {
        Found::new(&block).file(&manifest.files, files.len())?;
        // cannot fail: `file` refuses an index past the list
        let Some(entry) = manifest.files.get(files.len()) else { return Err(PackageError::Trailing) };
        files.push(Payload { entry: entry.clone(), code: stream.file(entry)? });
    }
    if let Some(missing) = manifest.files.get(files.len()) {
        return Err(PackageError::Missing(missing.name.clone()));
    }
    stream.end()?;
    for Payload { entry, code } in &files {
        if entry.name == manifest.entry {
            code.check(manifest.kind).map_err(|fault| PackageError::Code { name: entry.name.clone(), fault })?;
        }
    }
    Ok((manifest, bytes, files))
}

/// The archive, unpacked as it is read and never further than is allowed.
struct Stream<'p> {
    decoder: zstd::Decoder<'static, BufReader<Reader<'p>>>,
    length: u64,
    allowed: u64,
    read: u64,
}

impl<'p> Stream<'p> {
    fn open(package: &'p SealedCode) -> Result<Self, PackageError> {
        let mut start = Vec::with_capacity(MAX_HEADER);
        package.reader().take(MAX_HEADER as u64).read_to_end(&mut start)?;
        let Some(descriptor) = start.strip_prefix(&MAGIC).and_then(|rest| rest.first()) else {
            return Err(PackageError::NotPackage);
        };
        if descriptor & CHECKSUM == 0 {
            return Err(PackageError::NoChecksum);
        }
        let mut decoder = zstd::Decoder::with_buffer(BufReader::new(package.reader()))?.single_frame();
        let length = package.len();
        let allowed = FREE.max(length.saturating_mul(RATIO));
        // what it says of itself, where it does; what comes out is counted all the same
        if let Ok(Some(size)) = zstd::zstd_safe::get_frame_content_size(&start)
            && size > allowed
        {
            return Err(PackageError::Ratio { length, limit: allowed });
        }
        // the window is memory: more than all that may come out is for nothing
        let log = allowed.checked_next_power_of_two().map_or(MAX_WINDOW_LOG, u64::trailing_zeros);
        decoder.window_log_max(log.min(MAX_WINDOW_LOG))?;
        Ok(Self { decoder, length, allowed, read: 0 })
    }

    /// Fills all of `buffer`.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), PackageError> {
        self.read += buffer.len() as u64;
        if self.read > self.allowed {
            return Err(PackageError::Ratio { length: self.length, limit: self.allowed });
        }
        match self.decoder.read_exact(buffer) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(PackageError::Truncated),
            Err(error) => Err(PackageError::Damaged(error)),
        }
    }

    /// The next header; none where the archive ends.
    fn header(&mut self) -> Result<Option<[u8; BLOCK]>, PackageError> {
        let mut block = [0; BLOCK];
        self.fill(&mut block)?;
        Ok(block.iter().any(|byte| *byte != 0).then_some(block))
    }

    fn skip_padding(&mut self, name: &str, size: u64) -> Result<(), PackageError> {
        let mut rest = [0; BLOCK];
        let rest = &mut rest[..padding(size)];
        self.fill(rest)?;
        if rest.iter().any(|byte| *byte != 0) {
            return Err(PackageError::Entry { name: name.to_owned(), fault: EntryFault::Padding });
        }
        Ok(())
    }

    /// A file's bytes, which must be those that are listed.
    fn file(&mut self, entry: &FileEntry) -> Result<SealedCode, PackageError> {
        let memory = create_memfd()?;
        let mut buffer = vec![0; 64 * 1024];
        let mut left = entry.size;
        while left > 0 {
            let length = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            self.fill(&mut buffer[..length])?;
            (&memory).write_all(&buffer[..length])?;
            left -= length as u64;
        }
        let code = SealedCode::seal(memory)?;
        if code.digest() != entry.sha256 {
            return Err(PackageError::Entry { name: entry.name.clone(), fault: EntryFault::Digest });
        }
        self.skip_padding(&entry.name, entry.size)?;
        Ok(code)
    }

    /// That after one more block of zeros there is nothing, neither unpacked nor packed.
    fn end(mut self) -> Result<(), PackageError> {
        if self.header()?.is_some() {
            return Err(PackageError::Trailing);
        }
        // reads the frame's checksum too
        match self.decoder.read(&mut [0; BLOCK]) {
            Ok(0) => {}
            Ok(_) => return Err(PackageError::Trailing),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(PackageError::Truncated),
            Err(error) => return Err(PackageError::Damaged(error)),
        }
        if self.decoder.into_inner().fill_buf()?.is_empty() { Ok(()) } else { Err(PackageError::Trailing) }
    }
}
