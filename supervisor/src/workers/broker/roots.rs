//! The certificates that TLS servers are checked against, gathered once for all plugins.

use super::refusal;
use crate::plugins::SealedCode;
use midimon_shared::host::{HostRefusal, RefusalKind};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

/// Largest certificate that is taken, in bytes; those of the roots have one or two thousand.
const MAX_CERTIFICATE: usize = 64 * 1024;
/// All of them together, in bytes.
const MAX_ALL: usize = 8 * 1024 * 1024;

/// See the module. The system's are read at the first need: whoever changes them restarts midimon.
#[derive(Clone, Debug, Default)]
pub struct Roots(Arc<Mutex<Option<SealedCode>>>);

impl Roots {
    /// A descriptor to give away, with a position of its own: nobody who has one disturbs another.
    ///
    /// # Errors
    /// There is no memory or no descriptor to be had. The next one who asks tries again.
    pub fn descriptor(&self) -> Result<OwnedFd, HostRefusal> {
        let failed = |error: io::Error| refusal(RefusalKind::Failed, format!("the certificates: {error}"));
        let mut sealed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sealed.is_none() {
            *sealed = Some(SealedCode::copy(&mut packed(&gather()).as_slice(), MAX_ALL as u64).map_err(failed)?);
        }
        let file = sealed.as_ref().ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
        reopen(file).map_err(failed)
    }
}

/// The same memory, read-only and from its beginning.
fn reopen(sealed: &SealedCode) -> io::Result<OwnedFd> {
    Ok(File::open(format!("/proc/self/fd/{}", sealed.as_fd().as_raw_fd()))?.into())
}

/// The system's certificates, or Mozilla's where it has none.
pub fn gather() -> Vec<Vec<u8>> {
    let rustls_native_certs::CertificateResult { certs, errors, .. } = rustls_native_certs::load_native_certs();
    for error in &errors {
        tracing::warn!("certificates of the system: {error}");
    }
    if certs.is_empty() {
        tracing::info!("the system has no certificates: those of Mozilla are used");
        return webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().map(|certificate| certificate.to_vec()).collect();
    }
    certs.iter().map(|certificate| certificate.to_vec()).collect()
}

/// One after the other, each with its length in front; what is no certificate by its size is left out.
fn packed(certificates: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for certificate in certificates.iter().filter(|certificate| certificate.len() <= MAX_CERTIFICATE) {
        if bytes.len() + 4 + certificate.len() > MAX_ALL {
            break;
        }
        bytes.extend((certificate.len() as u32).to_le_bytes()); // cannot cut: see above
        bytes.extend(certificate);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, SeekFrom, Write};

    fn read(descriptor: OwnedFd) -> Vec<u8> {
        let mut bytes = Vec::new();
        File::from(descriptor).read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn every_descriptor_reads_the_same_from_its_beginning_and_cannot_be_written() {
        let roots = Roots::default();
        let first = roots.descriptor().unwrap();
        let mut moved = File::from(roots.descriptor().unwrap());
        moved.seek(SeekFrom::End(0)).unwrap();
        assert!(moved.write(b"x").is_err() && moved.set_len(0).is_err());
        let inode = |file: &File| std::os::unix::fs::MetadataExt::ino(&file.metadata().unwrap());
        assert_eq!(inode(&moved), inode(&File::from(roots.descriptor().unwrap())), "made once");
        let bytes = read(first);
        assert!(!bytes.is_empty());
        assert_eq!(read(roots.descriptor().unwrap()), bytes);
        // each is DER: a sequence
        let mut rest = bytes.as_slice();
        while let Some((length, tail)) = rest.split_first_chunk::<4>() {
            let (certificate, tail) = tail.split_at(u32::from_le_bytes(*length) as usize);
            assert_eq!(certificate[0], 0x30);
            rest = tail;
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn what_is_too_large_is_left_out_and_all_together_have_a_limit() {
        let large = vec![0; MAX_CERTIFICATE + 1];
        assert_eq!(packed(&[large, vec![7, 8], vec![]]), [2, 0, 0, 0, 7, 8, 0, 0, 0, 0]);
        assert!(packed(&vec![vec![0; MAX_CERTIFICATE]; 200]).len() <= MAX_ALL);
    }
}
