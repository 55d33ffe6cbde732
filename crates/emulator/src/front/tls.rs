//! The emulator's own certificate authority and the TLS set-up of its second listener.
//!
//! Made anew at every start, kept in memory only; a client trusts it by `Emulator::ca_pem`.
//! Called once, by `emulator`.

use std::net::IpAddr;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

/// What a TLS listener needs, and what its clients need.
pub(crate) struct Authority {
    pub(crate) acceptor: TlsAcceptor,
    /// Certificate of the CA, PEM.
    pub(crate) ca_pem: String,
}

/// Makes a CA and a certificate for `localhost`, the loopback addresses and `address`.
/// An `Err` says in words what could not be made.
pub(crate) fn make_authority(address: IpAddr) -> Result<Authority, String> {
    let (ca_pem, chain, key) = make_certificate(address).map_err(|error| error.to_string())?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Authority { acceptor: TlsAcceptor::from(Arc::new(config)), ca_pem })
}

type Made = (String, Vec<rustls::pki_types::CertificateDer<'static>>, PrivateKeyDer<'static>);

fn make_certificate(address: IpAddr) -> Result<Made, rcgen::Error> {
    let mut ca = CertificateParams::default();
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    ca.distinguished_name.push(DnType::CommonName, "Voice S2S emulator CA");
    let ca_key = KeyPair::generate()?;
    let ca_certificate = ca.self_signed(&ca_key)?;

    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    if !address.is_unspecified() && !address.is_loopback() {
        names.push(address.to_string());
    }
    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name.push(DnType::CommonName, "Voice S2S emulator");
    leaf.use_authority_key_identifier_extension = true;
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = leaf.signed_by(&key, &Issuer::new(ca, ca_key))?;

    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    Ok((ca_certificate.pem(), vec![certificate.der().clone()], key))
}
