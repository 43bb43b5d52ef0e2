use std::io;
use std::sync::{Arc, OnceLock};

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::ConnectError;

/// What is given as a certificate is none.
#[derive(Debug, thiserror::Error)]
#[error("not a certificate that can be trusted")]
pub struct InvalidCertificate(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Whom an encrypted connection trusts.
#[derive(Debug, Default)]
pub(super) struct Trust {
    added: Vec<CertificateDer<'static>>,
    /// Made at the first `wss://`: reading the built-in roots costs a millisecond or two.
    config: OnceLock<Arc<ClientConfig>>,
}

impl Clone for Trust {
    fn clone(&self) -> Self {
        Self { added: self.added.clone(), config: OnceLock::new() }
    }
}

impl Trust {
    /// Adds all certificates of a PEM file, or the one of a DER file.
    pub(super) fn add(&mut self, file: &[u8]) -> Result<(), InvalidCertificate> {
        let mut certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(file)
            .collect::<Result<_, _>>()
            .map_err(|error| InvalidCertificate(error.to_string().into()))?;
        if certificates.is_empty() {
            certificates.push(CertificateDer::from(file.to_vec()));
        }
        let mut check = RootCertStore::empty();
        for certificate in certificates {
            check.add(certificate.clone()).map_err(|error| InvalidCertificate(error.into()))?;
            self.added.push(certificate);
        }
        self.config = OnceLock::new();
        Ok(())
    }

    /// Encrypts `stream` and checks that the other end is `host`.
    pub(super) async fn encrypt(
        &self,
        stream: TcpStream,
        host: &str,
    ) -> Result<TlsStream<TcpStream>, ConnectError> {
        let invalid = |error| ConnectError::Tls(io::Error::new(io::ErrorKind::InvalidInput, error));
        let name = ServerName::try_from(host.to_owned()).map_err(invalid)?;
        let config = self.config.get_or_init(|| Arc::new(self.build())).clone();
        TlsConnector::from(config).connect(name, stream).await.map_err(ConnectError::Tls)
    }

    fn build(&self) -> ClientConfig {
        let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        roots.add_parsable_certificates(self.added.iter().cloned());
        // The provider is named here, so that no default has to be installed for the whole process.
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("the provider has suites for the default versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config
    }
}
