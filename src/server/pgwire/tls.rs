//! TLS: what the server shows, whom it asks for a certificate, and what it learns from a handshake.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256, Sha384, Sha512};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};
use x509_certificate::{CapturedX509Certificate, DigestAlgorithm};

use super::connection::Socket;
use crate::error::{Result, UserError, sqlstate};

/// The protocol that clients name when they begin with TLS at once.
const ALPN: &[u8] = b"postgresql";

/// The files that TLS needs, all of them PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The server's certificate, followed by those that lead to its root.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The roots of clients' certificates, where clients may show one instead of a password.
    pub client_roots: Option<PathBuf>,
}

/// TLS, ready to be spoken.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    binding: Arc<[u8]>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

/// What is known of an encrypted channel.
#[derive(Debug, Clone)]
pub(crate) struct Channel {
    /// The common name of the client's certificate, if it showed one; it leads to a root of ours.
    pub(crate) common_name: Option<String>,
    /// `tls-server-end-point` (RFC 5929, section 4).
    pub(crate) binding: Arc<[u8]>,
}

fn unusable(path: &Path, why: impl std::fmt::Display) -> UserError {
    UserError::new("F0000", format!("cannot use {} for TLS", path.display())).detail(why.to_string())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_file_iter(path).map_err(|error| unusable(path, error))?;
    let found = found.collect::<std::result::Result<Vec<_>, _>>().map_err(|error| unusable(path, error))?;
    if found.is_empty() {
        return Err(unusable(path, "there is no certificate in it").into());
    }
    Ok(found)
}

/// The hash of a certificate by the algorithm that it is signed with; SHA-256 where that is weaker.
fn end_point(certificate: &CertificateDer<'_>) -> Arc<[u8]> {
    let parsed = CapturedX509Certificate::from_der(certificate.to_vec()).ok();
    let algorithm =
        parsed.and_then(|parsed| parsed.signature_algorithm()).and_then(|algorithm| algorithm.digest_algorithm());
    match algorithm {
        Some(DigestAlgorithm::Sha384) => Sha384::digest(certificate).as_slice().into(),
        Some(DigestAlgorithm::Sha512) => Sha512::digest(certificate).as_slice().into(),
        _ => Sha256::digest(certificate).as_slice().into(),
    }
}

impl Tls {
    /// Read the files.
    ///
    /// # Errors
    /// When one cannot be read, or the key is not that of the certificate.
    pub fn load(files: &TlsFiles) -> Result<Self> {
        let chain = certificates(&files.certificate)?;
        let binding = chain.first().map(end_point).unwrap_or_default();
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unusable(&files.key, error))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| UserError::new(sqlstate::INTERNAL, error.to_string()))?;
        let builder = match &files.client_roots {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let mut roots = RootCertStore::empty();
                for root in certificates(path)? {
                    roots.add(root).map_err(|error| unusable(path, error))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                    .allow_unauthenticated()
                    .build()
                    .map_err(|error| unusable(path, error))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|error| {
            unusable(&files.certificate, error).hint(format!("the key is read from {}", files.key.display()))
        })?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), binding })
    }

    /// Shake hands. A client that begins with TLS at once has to say what it wants to speak.
    pub(crate) async fn accept(
        &self,
        socket: Box<dyn Socket>,
        direct: bool,
    ) -> std::io::Result<(Box<dyn Socket>, Channel)> {
        let stream = self.acceptor.accept(socket).await?;
        let (_, connection) = stream.get_ref();
        if direct && connection.alpn_protocol() != Some(ALPN) {
            return Err(std::io::Error::other("the client wants to speak something else"));
        }
        let own = connection.peer_certificates().and_then(<[_]>::first);
        let own = own.and_then(|certificate| CapturedX509Certificate::from_der(certificate.to_vec()).ok());
        let common_name = own.and_then(|certificate| certificate.subject_common_name());
        Ok((Box::new(stream), Channel { common_name, binding: Arc::clone(&self.binding) }))
    }
}
