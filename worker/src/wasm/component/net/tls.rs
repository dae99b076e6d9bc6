//! TLS: whom to trust, and what is spoken.

use super::broker::{Broker, failed};
use midimon_shared::host::HostRefusal;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use std::sync::{Arc, Mutex, PoisonError};

/// The settings of TLS connections, made at the first one from the roots that the supervisor knows.
#[derive(Debug, Default)]
pub struct Tls(Mutex<Option<Configs>>);

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
    /// The settings; asks for the roots if nobody has yet, and waits for them.
    ///
    /// # Errors
    /// There are no roots to be had: nobody could be trusted.
    pub fn configs(&self, broker: &dyn Broker) -> Result<Configs, HostRefusal> {
        let mut made = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(configs) = &*made {
            return Ok(configs.clone());
        }
        let mut roots = RootCertStore::empty();
        // a system's list can have entries that are none
        roots.add_parsable_certificates(broker.roots()?);
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
        let configs = Configs { any: Arc::new(any), http: Arc::new(http) };
        *made = Some(configs.clone());
        Ok(configs)
    }
}
