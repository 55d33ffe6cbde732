//! Whom TLS connections trust: the platform's roots (or those of `SSL_CERT_FILE`) and, for tests
//! and private gateways, an extra CA file.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};

/// The trust of one port. The platform's roots are read at the first TLS connection, not before:
/// the emulator on plain HTTP needs none.
#[derive(Debug)]
pub(crate) struct Trust {
    extra: Vec<CertificateDer<'static>>,
    config: OnceLock<Arc<ClientConfig>>,
}

/// Why there is no trust.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The extra CA file is no PEM file with certificates.
    #[error("cannot read certificates from {path}: expected a PEM file")]
    ExtraCa {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// There is no certificate to trust at all.
    #[error("no trusted root certificates: install ca-certificates or set SSL_CERT_FILE")]
    NoRoots,
    /// The TLS library refused its own defaults.
    #[error("TLS cannot be set up")]
    Tls(#[from] rustls::Error),
}

impl Trust {
    pub(crate) fn new(extra_ca: Option<&Path>) -> Result<Self, TrustError> {
        let read = |path: &Path| {
            CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect)
                .and_then(|found: Vec<_>| match found.is_empty() {
                    true => Err(rustls::pki_types::pem::Error::NoItemsFound),
                    false => Ok(found),
                })
                .map_err(|source| TrustError::ExtraCa { path: path.to_owned(), source })
        };
        let extra = extra_ca.map(read).transpose()?.unwrap_or_default();
        Ok(Self { extra, config: OnceLock::new() })
    }

    pub(crate) fn client_config(&self) -> Result<Arc<ClientConfig>, TrustError> {
        if let Some(config) = self.config.get() {
            return Ok(config.clone());
        }
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.extra.iter().cloned());
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            return Err(TrustError::NoRoots);
        }
        let mut config = ClientConfig::builder_with_provider(aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(self.config.get_or_init(|| Arc::new(config)).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_file_that_is_none_is_named() {
        let error = Trust::new(Some(Path::new("/no/such/ca.pem"))).expect_err("no such file");
        assert!(error.to_string().contains("/no/such/ca.pem"), "{error}");
    }
}
