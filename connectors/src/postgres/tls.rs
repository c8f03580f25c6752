//! TLS as libpq's sslmode asks for it.

use std::path::Path;
use std::sync::Arc;

use headwater_engine::{EngineError, Result};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
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
        let authorities = match trust {
            Trust::Anyone => None,
            _ => Some(Authorities::new(endpoint.root_cert.as_deref(), &provider)?),
        };
        let verifier = Arc::new(Verifier { authorities, host: trust == Trust::Host, provider });
        let config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        let verified = match trust {
            Trust::Host => "certificate verified",
            Trust::Authority => "authority verified, host name not checked",
            Trust::Anyone => "certificate not verified",
        };
        Ok(Self { connector: MakeRustlsConnect::new(config), verified })
    }
}

/// Whom a server's certificate may be signed by.
#[derive(Debug)]
struct Authorities {
    verifier: Arc<WebPkiServerVerifier>,
    /// Certificates of the file, one of which may be the server's own.
    certificates: Vec<CertificateDer<'static>>,
}

impl Authorities {
    /// Certificates of a PEM file, or those that the system trusts.
    fn new(root: Option<&Path>, provider: &Arc<CryptoProvider>) -> Result<Self> {
        let mut store = RootCertStore::empty();
        let mut certificates = Vec::new();
        match root.filter(|path| path.as_os_str() != "system") {
            Some(path) => {
                let unreadable = |error: rustls::pki_types::pem::Error| {
                    EngineError::config(format!("the root certificate {} can't be read", path.display()))
                        .hint("sslrootcert names a PEM file with the certificate of the server's authority")
                        .caused_by(error)
                };
                for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
                    let certificate = certificate.map_err(unreadable)?;
                    store.add(certificate.clone()).map_err(|error| {
                        EngineError::config(format!("{} holds a certificate that can't be used", path.display()))
                            .caused_by(error)
                    })?;
                    certificates.push(certificate);
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
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider))
            .build()
            .map_err(|error| EngineError::config("the root certificates can't be used").caused_by(error))?;
        Ok(Self { verifier, certificates })
    }

    /// Whether the failure is that of a certificate which the file itself trusts: self-signed, as `openssl req -x509` makes it, it counts as an authority,
    /// which webpki does not take for a server's. libpq does. What is asked of any certificate comes before that question: it is valid now.
    fn trusts(&self, end_entity: &CertificateDer<'_>, error: &rustls::Error) -> bool {
        let rustls::Error::InvalidCertificate(rustls::CertificateError::Other(other)) = error else { return false };
        format!("{other:?}").contains("CaUsedAsEndEntity") && self.certificates.iter().any(|one| one == end_entity)
    }
}

/// Checks as much as sslmode says: the authority and the host name, the authority alone, or nothing at all.
#[derive(Debug)]
struct Verifier {
    authorities: Option<Authorities>,
    host: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let Some(authorities) = &self.authorities else { return Ok(ServerCertVerified::assertion()) };
        let verified =
            authorities.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            Err(rustls::Error::InvalidCertificate(
                rustls::CertificateError::NotValidForName | rustls::CertificateError::NotValidForNameContext { .. },
            )) if !self.host => Ok(ServerCertVerified::assertion()),
            Err(error) if authorities.trusts(end_entity, &error) => {
                if self.host {
                    verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                }
                Ok(ServerCertVerified::assertion())
            }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

    use std::process::Command;
    use std::time::Duration;

    use super::*;

    /// Self-signed certificates as `openssl req -x509` makes them, which are authorities, in PEM files.
    fn self_signed(folder: &Path, name: &str) -> std::path::PathBuf {
        let file = folder.join(format!("{name}.crt"));
        let made = Command::new("openssl")
            .args(["req", "-new", "-x509", "-days", "30", "-nodes", "-subj", &format!("/CN={name}"), "-addext"])
            .args([&format!("subjectAltName=DNS:{name}"), "-keyout", "/dev/null", "-out"])
            .arg(&file)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        file
    }

    fn judge(root: &Path, server: &Path, host: Option<&str>, days: u64) -> std::result::Result<(), rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let authorities = Some(Authorities::new(Some(root), &provider).unwrap());
        let verifier = Verifier { authorities, host: host.is_some(), provider };
        let certificate = CertificateDer::pem_file_iter(server).unwrap().next().unwrap().unwrap();
        let name = ServerName::try_from(host.unwrap_or("elsewhere.example").to_owned()).unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        let then = UnixTime::since_unix_epoch(now + Duration::from_secs(days * 86_400));
        verifier.verify_server_cert(&certificate, &[], &name, &[], then).map(|_| ())
    }

    #[test]
    fn a_self_signed_certificate_is_trusted_where_it_is_the_root_and_only_there() {
        let folder = tempfile::tempdir().unwrap();
        let (own, other) = (self_signed(folder.path(), "db.example"), self_signed(folder.path(), "other.example"));
        judge(&own, &own, None, 0).unwrap();
        judge(&own, &own, Some("db.example"), 0).unwrap();
        assert!(judge(&own, &own, Some("db2.example"), 0).unwrap_err().to_string().contains("name"));
        assert!(judge(&other, &own, None, 0).is_err(), "another root");
        assert!(judge(&own, &own, None, 31).unwrap_err().to_string().contains("expired"));
    }
}
