//! TLS as libpq's `sslmode` means it.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use super::url::PostgresUrl;

/// How far the server's certificate is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl Mode {
    pub(super) fn of(url: &PostgresUrl) -> Result<Self, String> {
        match url.option("sslmode").as_deref() {
            Some("disable") => Ok(Self::Disable),
            // libpq begins without TLS and tries it second: what a server takes at all, `prefer` finds.
            None | Some("allow" | "prefer") => Ok(Self::Prefer),
            // As libpq has it: a root certificate that is named is also asked.
            Some("require") if url.option("sslrootcert").is_some() => Ok(Self::VerifyCa),
            Some("require") => Ok(Self::Require),
            Some("verify-ca") => Ok(Self::VerifyCa),
            Some("verify-full") => Ok(Self::VerifyFull),
            Some(_) => Err(
                "sslmode is one of disable, allow, prefer, require, verify-ca, verify-full".into(),
            ),
        }
    }
}

/// Makes the client's side of TLS.
pub(super) fn client(url: &PostgresUrl, mode: Mode) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let inner = match mode {
        Mode::VerifyCa | Mode::VerifyFull => Some(verifier(url, &provider)?),
        _ => None,
    };
    let verifier = Verifier {
        inner,
        name: mode == Mode::VerifyFull,
        provider: Arc::clone(&provider),
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let (Some(cert), Some(key)) = (url.option("sslcert"), url.option("sslkey")) else {
        return Ok(config.with_no_client_auth());
    };
    let chain = certificates(&cert)?;
    let key = PrivateKeyDer::from_pem_file(&key).map_err(|error| format!("{key}: {error}"))?;
    config
        .with_client_auth_cert(chain, key)
        .map_err(|error| format!("{cert}: {error}"))
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    read.map_err(|error| format!("{path}: {error}"))
}

fn verifier(
    url: &PostgresUrl,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, String> {
    let standard = || {
        Some(
            PathBuf::from(std::env::var_os("HOME")?)
                .join(".postgresql/root.crt")
                .display()
                .to_string(),
        )
    };
    let path = url.option("sslrootcert").or_else(standard);
    let path = path.ok_or("sslmode asks for a root certificate: name it with sslrootcert")?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&path)? {
        roots
            .add(certificate)
            .map_err(|error| format!("{path}: {error}"))?;
    }
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .build()
        .map_err(|error| format!("{path}: {error}"))
}

/// Asks a root certificate, if there is one; the name in the server's counts only where it shall.
#[derive(Debug)]
struct Verifier {
    inner: Option<Arc<WebPkiServerVerifier>>,
    name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(inner) = &self.inner else {
            return Ok(ServerCertVerified::assertion());
        };
        match inner.verify_server_cert(end, chain, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !self.name => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
