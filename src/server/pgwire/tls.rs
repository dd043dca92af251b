//! TLS: what the server shows, whom it asks for a certificate, and what it learns from a handshake. The files are read
//! again when they have changed; who is connected stays so.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
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

/// TLS, ready to be spoken. Clones share what they speak with, so that one reads the files again for all.
#[derive(Clone)]
pub struct Tls {
    files: Arc<TlsFiles>,
    /// What was in the files when they were read last, whether it could be used or not.
    seen: Arc<Mutex<Fingerprint>>,
    spoken: Arc<RwLock<Spoken>>,
}

/// A digest of what the files hold.
type Fingerprint = [u8; 32];

/// What the next handshake is made with.
#[derive(Clone)]
struct Spoken {
    acceptor: TlsAcceptor,
    binding: Arc<[u8]>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
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

/// The files as they were at one moment.
struct Contents<'a> {
    files: &'a TlsFiles,
    certificate: std::io::Result<Vec<u8>>,
    key: std::io::Result<Vec<u8>>,
    client_roots: Option<(&'a Path, std::io::Result<Vec<u8>>)>,
}

impl<'a> Contents<'a> {
    fn read(files: &'a TlsFiles) -> Self {
        Self {
            files,
            certificate: std::fs::read(&files.certificate),
            key: std::fs::read(&files.key),
            client_roots: files.client_roots.as_deref().map(|path| (path, std::fs::read(path))),
        }
    }

    fn fingerprint(&self) -> Fingerprint {
        let mut all = Sha256::new();
        let roots = self.client_roots.as_ref().map(|(_, roots)| roots);
        for file in [Some(&self.certificate), Some(&self.key), roots].into_iter().flatten() {
            match file {
                Ok(bytes) => all.update(Sha256::digest(bytes)),
                Err(error) => all.update(Sha256::digest(error.to_string())),
            }
        }
        all.finalize().into()
    }

    /// Make of them what can be spoken.
    fn spoken(self) -> Result<Spoken> {
        let files = self.files;
        let chain = certificates(&files.certificate, self.certificate)?;
        let binding = chain.first().map(end_point).unwrap_or_default();
        let key = self.key.map_err(|error| unusable(&files.key, error))?;
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(|error| unusable(&files.key, error))?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| UserError::new(sqlstate::INTERNAL, error.to_string()))?;
        let builder = match self.client_roots {
            None => builder.with_no_client_auth(),
            Some((path, found)) => {
                let mut roots = RootCertStore::empty();
                for root in certificates(path, found)? {
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
        Ok(Spoken { acceptor: TlsAcceptor::from(Arc::new(config)), binding })
    }
}

fn certificates(path: &Path, file: std::io::Result<Vec<u8>>) -> Result<Vec<CertificateDer<'static>>> {
    let file = file.map_err(|error| unusable(path, error))?;
    let found = CertificateDer::pem_slice_iter(&file).collect::<std::result::Result<Vec<_>, _>>();
    let found = found.map_err(|error| unusable(path, error))?;
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
    pub fn load(files: TlsFiles) -> Result<Self> {
        let contents = Contents::read(&files);
        let (seen, spoken) = (contents.fingerprint(), contents.spoken()?);
        Ok(Self { files: Arc::new(files), seen: Arc::new(Mutex::new(seen)), spoken: Arc::new(RwLock::new(spoken)) })
    }

    /// Read the files again. If they have changed since they were read last, handshakes from now on are made with them;
    /// gives back whether they are. What cannot be used leaves everything as it is, and is told once.
    ///
    /// # Errors
    /// When one has changed and cannot be read, or the key is not that of the certificate.
    pub fn reload(&self) -> Result<bool> {
        // One reads at a time, so that nobody puts older files in the place of newer ones.
        let mut seen = self.seen.lock();
        let contents = Contents::read(&self.files);
        let found = contents.fingerprint();
        if std::mem::replace(&mut *seen, found) == found {
            return Ok(false);
        }
        let spoken = contents.spoken()?;
        *self.spoken.write() = spoken;
        Ok(true)
    }

    /// Look whether the files have changed, and log what came of it.
    pub async fn look(&self) {
        let tls = self.clone();
        match tokio::task::spawn_blocking(move || tls.reload()).await {
            Ok(Ok(true)) => tracing::info!(certificate = ?self.files.certificate, "the files of TLS were read again"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "the files of TLS have changed and cannot be used: the old ones stay");
            }
            Err(error) => tracing::error!(%error, "the files of TLS cannot be looked at"),
        }
    }

    /// Shake hands. A client that begins with TLS at once has to say what it wants to speak.
    pub(crate) async fn accept(
        &self,
        socket: Box<dyn Socket>,
        direct: bool,
    ) -> std::io::Result<(Box<dyn Socket>, Channel)> {
        let Spoken { acceptor, binding } = self.spoken.read().clone();
        let stream = acceptor.accept(socket).await?;
        let (_, connection) = stream.get_ref();
        if direct && connection.alpn_protocol() != Some(ALPN) {
            return Err(std::io::Error::other("the client wants to speak something else"));
        }
        let own = connection.peer_certificates().and_then(<[_]>::first);
        let own = own.and_then(|certificate| CapturedX509Certificate::from_der(certificate.to_vec()).ok());
        let common_name = own.and_then(|certificate| certificate.subject_common_name());
        Ok((Box::new(stream), Channel { common_name, binding }))
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use x509_certificate::{EcdsaCurve, KeyAlgorithm, X509CertificateBuilder};

    use super::*;

    /// A new certificate and its key, both PEM.
    fn made() -> (String, String) {
        let mut builder = X509CertificateBuilder::default();
        builder.subject().append_common_name_utf8_string("localhost").unwrap();
        let made = builder.create_with_random_keypair(KeyAlgorithm::Ecdsa(EcdsaCurve::Secp256r1));
        let (certificate, key) = made.unwrap();
        let key = STANDARD.encode(&*key.to_pkcs8_one_asymmetric_key_der());
        (certificate.encode_pem(), format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n"))
    }

    fn binding(certificate: &str) -> Arc<[u8]> {
        end_point(&CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap())
    }

    #[test]
    fn files_are_read_again_when_they_change_and_can_be_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let ((first, first_key), (second, second_key), (root, _)) = (made(), made(), made());
        for (name, text) in [("crt", &first), ("key", &first_key), ("ca", &root)] {
            std::fs::write(path(name), text).unwrap();
        }
        let files = TlsFiles { certificate: path("crt"), key: path("key"), client_roots: Some(path("ca")) };
        let tls = Tls::load(files.clone()).unwrap();
        // A clone speaks what the other one has read.
        let spoken = tls.clone();
        let spoken = || Arc::clone(&spoken.spoken.read().binding);
        assert_eq!((tls.reload().unwrap(), spoken()), (false, binding(&first)));
        // Between the certificate and its key nothing can be used; that is told once.
        std::fs::write(path("crt"), &second).unwrap();
        let error = tls.reload().unwrap_err().to_string();
        assert!(error.contains("crt for TLS") && error.contains("the key is read from"), "{error}");
        assert_eq!((tls.reload().unwrap(), spoken()), (false, binding(&first)));
        std::fs::write(path("key"), &second_key).unwrap();
        assert_eq!((tls.reload().unwrap(), spoken()), (true, binding(&second)));
        for (name, broken) in [("crt", "nonsense"), ("key", ""), ("ca", "nonsense")] {
            let good = std::fs::read(path(name)).unwrap();
            std::fs::write(path(name), broken).unwrap();
            let error = tls.reload().unwrap_err().to_string();
            assert!(error.contains(&format!("{name} for TLS")), "{error}");
            std::fs::remove_file(path(name)).unwrap();
            assert!(tls.reload().unwrap_err().to_string().contains(name));
            std::fs::write(path(name), good).unwrap();
            assert_eq!((tls.reload().unwrap(), spoken()), (true, binding(&second)));
        }
        // Clients of another authority are known by its certificate alone.
        std::fs::write(path("ca"), &first).unwrap();
        assert!(tls.reload().unwrap());
        std::fs::remove_file(path("ca")).unwrap();
        assert_eq!(Tls::load(files).unwrap_err().sqlstate(), "F0000");
    }
}
