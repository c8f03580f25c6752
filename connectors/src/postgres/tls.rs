//! TLS as libpq's sslmode asks for it.

use std::path::Path;
use std::sync::Arc;

use headwater_engine::{EngineError, Result};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::endpoint::{Endpoint, SslMode};

/// A TLS connector and what it verifies.
#[derive(Clone)]
pub(super) struct Tls {
    pub connector: MakeRustlsConnect,
    /// For reports: `certificate verified`, `authority verified, host name not checked`, `certificate not verified`.
    pub verified: &'static str,
}

/// How far a server's certificate is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// Encrypted, whoever answers.
    Anyone,
    /// Signed by a known authority.
    Authority,
    /// Signed by a known authority for this host.
    Host,
}

impl Tls {
    /// The connector that an endpoint asks for. `require` with a root certificate verifies the authority, as libpq does.
    pub(super) fn new(endpoint: &Endpoint) -> Result<Self> {
        let trust = match endpoint.sslmode {
            SslMode::VerifyFull => Trust::Host,
            SslMode::VerifyCa => Trust::Authority,
            SslMode::Require if endpoint.root_cert.is_some() => Trust::Authority,
            _ => Trust::Anyone,
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| EngineError::bug("TLS could not be set up").caused_by(error))?;
        let config = if trust == Trust::Host {
            builder.with_root_certificates(roots(endpoint.root_cert.as_deref())?).with_no_client_auth()
        } else {
            let inner = match trust {
                Trust::Anyone => None,
                _ => Some(authority_verifier(endpoint.root_cert.as_deref(), &provider)?),
            };
            let verifier = Arc::new(Lenient { inner, provider });
            builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
        };
        let verified = match trust {
            Trust::Host => "certificate verified",
            Trust::Authority => "authority verified, host name not checked",
            Trust::Anyone => "certificate not verified",
        };
        Ok(Self { connector: MakeRustlsConnect::new(config), verified })
    }
}

fn authority_verifier(root: Option<&Path>, provider: &Arc<CryptoProvider>) -> Result<Arc<WebPkiServerVerifier>> {
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots(root)?), Arc::clone(provider))
        .build()
        .map_err(|error| EngineError::config("the root certificates can't be used").caused_by(error))
}

/// Certificates of a PEM file, or those that the system trusts.
fn roots(file: Option<&Path>) -> Result<RootCertStore> {
    let mut store = RootCertStore::empty();
    match file.filter(|path| path.as_os_str() != "system") {
        Some(path) => {
            let unreadable = |error: rustls::pki_types::pem::Error| {
                EngineError::config(format!("the root certificate {} can't be read", path.display()))
                    .hint("sslrootcert names a PEM file with the certificate of the server's authority")
                    .caused_by(error)
            };
            for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
                store.add(certificate.map_err(unreadable)?).map_err(|error| {
                    EngineError::config(format!("{} holds a certificate that can't be used", path.display()))
                        .caused_by(error)
                })?;
            }
        }
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if store.is_empty() {
        return Err(EngineError::config("no root certificate was found to verify the server with")
            .hint("set sslrootcert to the PEM file of the server's authority"));
    }
    Ok(store)
}

/// Checks less than a browser would, because sslmode says so: no host name, or nothing at all.
#[derive(Debug)]
struct Lenient {
    inner: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let Some(inner) = &self.inner else { return Ok(ServerCertVerified::assertion()) };
        match inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            Err(rustls::Error::InvalidCertificate(
                rustls::CertificateError::NotValidForName | rustls::CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
