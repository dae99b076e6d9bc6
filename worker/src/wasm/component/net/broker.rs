//! What the network asks of the supervisor.

use crate::host::{Answered, HostClient};
use crate::sandbox::code::sealed;
use midimon_shared::host::{HostCall, HostRefusal, MAX_WAIT_MS, RefusalKind};
use rustls::pki_types::CertificateDer;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::time::Instant;

/// Bytes of all root certificates that are read; more than midimon sends.
const MAX_ROOTS: usize = 8 * 1024 * 1024;

/// Makes connections and knows whom to trust: the supervisor. Asking waits for the answer.
pub trait Broker: Send + Sync {
    /// A TCP connection to `host:port`, made by then.
    ///
    /// # Errors
    /// No grant, nobody there, too late.
    fn connect(&self, target: &str, until: Instant) -> Result<OwnedFd, HostRefusal>;

    /// The certificate authorities that are trusted, known by then.
    ///
    /// # Errors
    /// They cannot be had, or too late.
    fn roots(&self, until: Instant) -> Result<Vec<CertificateDer<'static>>, HostRefusal>;
}

impl Broker for HostClient {
    fn connect(&self, target: &str, until: Instant) -> Result<OwnedFd, HostRefusal> {
        let wait = until.saturating_duration_since(Instant::now());
        let timeout_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX).clamp(1, MAX_WAIT_MS);
        let Answered { descriptor, .. } =
            self.ask_by(HostCall::Connect { target: target.to_owned(), timeout_ms }, until)?;
        descriptor.ok_or_else(|| failed("midimon answered without a connection"))
    }

    fn roots(&self, until: Instant) -> Result<Vec<CertificateDer<'static>>, HostRefusal> {
        let Answered { descriptor, .. } = self.ask_by(HostCall::TlsRoots, until)?;
        let descriptor = descriptor.ok_or_else(|| failed("midimon answered without certificates"))?;
        let file = sealed(descriptor).map_err(|stop| failed(format!("the certificates can be changed: {stop}")))?;
        let mut bytes = Vec::new();
        let read = file.take(MAX_ROOTS as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|error| failed(format!("the certificates cannot be read: {error}")))?;
        list(&bytes).ok_or_else(|| failed("the list of certificates is none"))
    }
}

/// Certificates, each with its length in front (32 bits, little-endian).
fn list(mut bytes: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let mut certificates = Vec::new();
    if bytes.len() > MAX_ROOTS {
        return None;
    }
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (certificate, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        certificates.push(CertificateDer::from(certificate.to_vec()));
        bytes = rest;
    }
    Some(certificates)
}

/// A refusal of our own.
pub fn failed(message: impl Into<String>) -> HostRefusal {
    HostRefusal { kind: RefusalKind::Failed, message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_list_of_certificates_is_read_whole_or_not_at_all() {
        let whole = b"\x03\0\0\0abc\0\0\0\0\x01\0\0\0d";
        let read: Vec<_> = list(whole).unwrap().iter().map(|one| one.to_vec()).collect();
        assert_eq!(read, [&b"abc"[..], b"", b"d"]);
        assert_eq!(list(b"").unwrap().len(), 0);
        for cut in 1..whole.len() {
            let at_an_end = matches!(cut, 7 | 11);
            assert_eq!(list(&whole[..cut]).is_some(), at_an_end, "{cut}");
        }
        assert!(list(b"\xFF\xFF\xFF\xFFabc").is_none());
        assert!(list(&vec![0; MAX_ROOTS + 4]).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_list_that_is_all_of_them_or_none(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..5),
            bytes in prop::collection::vec(any::<u8>(), 0..20),
        ) {
            let pack = |parts: &[Vec<u8>]| -> Vec<u8> {
                parts.iter().flat_map(|part| [&(part.len() as u32).to_le_bytes(), part.as_slice()].concat()).collect()
            };
            let packed = pack(&parts);
            for bytes in [&packed, &bytes, &[packed.as_slice(), &bytes].concat()] {
                if let Some(read) = list(bytes) {
                    let read: Vec<Vec<u8>> = read.iter().map(|one| one.to_vec()).collect();
                    prop_assert_eq!(&pack(&read), bytes);
                }
            }
            prop_assert_eq!(list(&packed).map(|read| read.len()), Some(parts.len()));
        }
    }
}
