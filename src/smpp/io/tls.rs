//! TLS for SMPP: 1.2 and 1.3 with ring, a private authority or the platform's, certificates of both ends.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;

/// Why TLS could not be set up. Names files, never what is in them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be read.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// There is no certificate or key in it.
    #[error("{path}: no {wanted} in PEM form")]
    Pem {
        /// Which.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
    },
    /// What was read does not go together.
    #[error("TLS: {0}")]
    Unfit(String),
}

/// A certificate with its chain, and its key; both PEM files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// The certificate first, then what signed it.
    pub certificates: PathBuf,
    /// PKCS#8, PKCS#1 or SEC1.
    pub key: PathBuf,
}

/// Whom a client believes, and what it shows.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ClientFiles {
    /// The authority that signed the SMSC's certificate; without it, those of the platform.
    pub authority: Option<PathBuf>,
    /// What we show when the SMSC asks.
    pub identity: Option<Identity>,
}

/// What a listener shows, and whom it asks for a certificate.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ServerFiles {
    /// What we show.
    pub identity: Identity,
    /// The authority that must have signed every peer's certificate; without it, peers need none.
    pub client_authority: Option<PathBuf>,
}

/// What a client needs for TLS.
///
/// # Errors
/// When a file cannot be read, holds no PEM, or key and certificate do not go together.
pub fn client(files: &ClientFiles) -> Result<Arc<ClientConfig>, Error> {
    let provider = provider();
    let verifier: Arc<dyn ServerCertVerifier> = match &files.authority {
        Some(path) => {
            let roots = Arc::new(roots(path)?);
            rustls::client::WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
                .build()
                .map_err(unfit)?
        }
        None => Arc::new(rustls_platform_verifier::Verifier::new(Arc::clone(&provider)).map_err(unfit)?),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unfit)?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match &files.identity {
        Some(identity) => {
            let (chain, key) = read(identity)?;
            builder.with_client_auth_cert(chain, key).map_err(unfit)?
        }
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

/// What a listener needs for TLS.
///
/// # Errors
/// As [`client`].
pub fn server(files: &ServerFiles) -> Result<Arc<ServerConfig>, Error> {
    let provider = provider();
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(unfit)?;
    let builder = match &files.client_authority {
        Some(path) => {
            let roots = Arc::new(roots(path)?);
            let verifier =
                WebPkiClientVerifier::builder_with_provider(roots, provider).build().map_err(unfit)?;
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let (chain, key) = read(&files.identity)?;
    Ok(Arc::new(builder.with_single_cert(chain, key).map_err(unfit)?))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn unfit(fault: impl std::fmt::Display) -> Error {
    Error::Unfit(fault.to_string())
}

fn read(identity: &Identity) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), Error> {
    let pem = file(&identity.key)?;
    let key = PrivateKeyDer::from_pem_slice(&pem)
        .map_err(|_| Error::Pem { path: identity.key.clone(), wanted: "private key" })?;
    Ok((certificates(&identity.certificates)?, key))
}

fn roots(path: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(unfit)?;
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let wanted = || Error::Pem { path: path.to_owned(), wanted: "certificate" };
    let pem = file(path)?;
    let found: Vec<_> =
        CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|_| wanted())?;
    if found.is_empty() { Err(wanted()) } else { Ok(found) }
}

fn file(path: &Path) -> Result<zeroize::Zeroizing<Vec<u8>>, Error> {
    fs::read(path)
        .map(zeroize::Zeroizing::new)
        .map_err(|source| Error::File { path: path.to_owned(), source })
}
