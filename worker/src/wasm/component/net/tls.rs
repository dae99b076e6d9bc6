//! TLS: whom to trust, and what is spoken.

use super::broker::{Broker, failed};
use crate::turns::Turns;
use midimon_shared::host::{HostRefusal, RefusalKind};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use std::time::Instant;

/// The settings of TLS connections, made at the first one from the roots that the supervisor knows.
#[derive(Debug)]
pub struct Tls(Turns<Option<Configs>>);

impl Default for Tls {
    fn default() -> Self {
        Self(Turns::new(None))
    }
}

/// Settings that share their roots. Sessions are taken up again where servers allow it, which saves half of a
/// handshake.
#[derive(Clone, Debug)]
pub struct Configs {
    /// For whatever the guest speaks.
    pub any: Arc<ClientConfig>,
    /// For HTTP: says so to the server.
    pub http: Arc<ClientConfig>,
}

impl Tls {
    /// The settings; asks for the roots if nobody has them yet, and waits for them until then.
    ///
    /// # Errors
    /// There are no roots to be had, so that nobody could be trusted, or not in time.
    pub fn configs(&self, broker: &dyn Broker, until: Instant) -> Result<Configs, HostRefusal> {
        // whoever asks may wait for longer than another one has
        let known = self.0.take(Some(until), |made| match made {
            Some(configs) => Ok(configs.clone()),
            None => make(broker.roots(until)?).map(|configs| made.insert(configs).clone()),
        });
        known.unwrap_or_else(|| {
            let message = "the certificates are still being asked for".to_owned();
            Err(HostRefusal { kind: RefusalKind::TimedOut, message })
        })
    }
}

/// Settings that trust these.
fn make(trusted: Vec<CertificateDer<'static>>) -> Result<Configs, HostRefusal> {
    let mut roots = RootCertStore::empty();
    // a system's list can have entries that are none
    roots.add_parsable_certificates(trusted);
    if roots.is_empty() {
        return Err(failed("no certificate authority is known on this system: install ca-certificates"));
    }
    let any = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut http = any.clone();
    http.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Configs { any: Arc::new(any), http: Arc::new(http) })
}
