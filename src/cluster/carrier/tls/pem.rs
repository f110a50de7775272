//! [`Tls`] from certificates and a key in PEM format.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::crypto::CryptoProvider;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::cluster::carrier::tls::config::Tls;
use crate::cluster::carrier::tls::error::TlsError;
use crate::cluster::carrier::tls::verifier::AnyHost;

const CERTIFICATE: &str = "the certificate";
const KEY: &str = "the key";
const AUTHORITIES: &str = "the file of authorities";

/// A text in PEM format, and what errors call it.
struct Pem {
    text: Vec<u8>,
    name: String,
}

impl Pem {
    fn read(what: &'static str, file: &Path) -> Result<Self, TlsError> {
        let unreadable =
            |error| TlsError::Unreadable { what, file: file.into(), source: Arc::new(error) };
        let text = fs::read(file).map_err(unreadable)?;
        Ok(Pem { text, name: format!("{what} {file:?}") })
    }

    fn not_pem(&self) -> TlsError {
        TlsError::NotPem(self.name.clone())
    }

    fn refused(&self, error: &dyn std::fmt::Display) -> TlsError {
        TlsError::Refused(self.name.clone(), error.to_string())
    }

    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.text).collect();
        found.ok().filter(|found| !found.is_empty()).ok_or_else(|| self.not_pem())
    }

    fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        // The error may quote the text.
        PrivateKeyDer::from_pem_slice(&self.text).map_err(|_| self.not_pem())
    }
}

impl Tls {
    /// Reads the certificate of this node (with those between it and the authority, if there are
    /// any, behind it), its key, and the authorities whose certificates are accepted. [`Tls`] has an
    /// example. The files are read at once, by blocking calls of the operating system.
    ///
    /// # Errors
    ///
    /// [`TlsError`] names the file that can't be read or used.
    pub fn from_pem_files(
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
        authorities: impl AsRef<Path>,
    ) -> Result<Self, TlsError> {
        let certificate = Pem::read(CERTIFICATE, certificate.as_ref())?;
        let key = Pem::read(KEY, key.as_ref())?;
        from_pem(&certificate, &key, &Pem::read(AUTHORITIES, authorities.as_ref())?)
    }

    /// Uses the texts that [`from_pem_files`](Self::from_pem_files) reads from files.
    ///
    /// ```
    /// use regrow::cluster::{Tls, TlsError};
    ///
    /// let error = Tls::from_pem("", "", "").unwrap_err();
    /// assert!(matches!(error, TlsError::NotPem(_)));
    /// ```
    ///
    /// # Errors
    ///
    /// [`TlsError`] says which of the three can't be used.
    pub fn from_pem(
        certificate: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
        authorities: impl AsRef<[u8]>,
    ) -> Result<Self, TlsError> {
        let pem = |name: &str, text: &[u8]| Pem { text: text.to_vec(), name: name.to_owned() };
        let certificate = pem(CERTIFICATE, certificate.as_ref());
        let authorities = pem("the text of the authorities", authorities.as_ref());
        from_pem(&certificate, &pem(KEY, key.as_ref()), &authorities)
    }
}

fn from_pem(certificate: &Pem, key: &Pem, authorities: &Pem) -> Result<Tls, TlsError> {
    let provider = Arc::new(default_provider());
    let mut roots = RootCertStore::empty();
    for authority in authorities.certificates()? {
        roots.add(authority).map_err(|error| authorities.refused(&error))?;
    }
    let roots = Arc::new(roots);
    let server = server(&provider, &roots, certificate, key, authorities)?;
    let client = |any_host| client(&provider, &roots, certificate, key, any_host);
    Ok(Tls {
        any_host: Some(Arc::new(client(true)?)),
        ..Tls::from_configs(Arc::new(client(false)?), Arc::new(server))
    })
}

fn server(
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
    certificate: &Pem,
    key: &Pem,
    authorities: &Pem,
) -> Result<ServerConfig, TlsError> {
    let verifier =
        WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone()).build();
    let mut config = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| certificate.refused(&error))?
        .with_client_cert_verifier(verifier.map_err(|error| authorities.refused(&error))?)
        .with_single_cert(certificate.certificates()?, key.key()?)
        .map_err(|error| certificate.refused(&error))?;
    // A node connects seldom, so each connection shows its certificate.
    config.send_tls13_tickets = 0;
    Ok(config)
}

fn client(
    provider: &Arc<CryptoProvider>,
    roots: &Arc<RootCertStore>,
    certificate: &Pem,
    key: &Pem,
    any_host: bool,
) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| certificate.refused(&error))?;
    let builder = if any_host {
        let algorithms = provider.signature_verification_algorithms;
        let verifier = AnyHost { authorities: roots.clone(), algorithms };
        builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
    } else {
        builder.with_root_certificates(roots.clone())
    };
    let mut config = builder
        .with_client_auth_cert(certificate.certificates()?, key.key()?)
        .map_err(|error| certificate.refused(&error))?;
    config.resumption = Resumption::disabled();
    Ok(config)
}
