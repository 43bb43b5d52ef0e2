//! Links over TLS.

use std::future::poll_fn;
use std::sync::Arc;

use bowline_protocol::status::CloseCode;
use bowline_transport::native::NativeConnector;
use bowline_transport::{CloseFrame, Connect, ConnectError, Link};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::echo::{self, Endings};
use crate::{conformance, fails, listen, within};

/// An echo behind TLS, and the certificate to trust.
async fn encrypted() -> (String, rcgen::CertifiedKey<rcgen::KeyPair>) {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(certified.signing_key.serialize_der().into());
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let (listener, port) = listen().await;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    answer_encrypted(stream).await;
                }
            });
        }
    });
    (format!("wss://localhost:{port}/ws"), certified)
}

async fn answer_encrypted<S: AsyncRead + AsyncWrite + Unpin>(stream: S) {
    let socket = tokio_tungstenite::accept_hdr_async(stream, echo::agree).await.unwrap();
    echo::echo(socket, Endings::default()).await;
}

#[tokio::test]
async fn an_encrypted_link_carries_messages_when_its_certificate_is_trusted() {
    let (endpoint, certified) = encrypted().await;
    let messages =
        ["", "small"].map(Into::into).into_iter().chain([vec![1; 1 << 20].into()]).collect::<Vec<_>>();
    for file in [certified.cert.der().to_vec(), certified.cert.pem().into_bytes()] {
        let connector = NativeConnector::new().with_root_certificates(&file).unwrap();
        let mut link = within(connector.connect(&endpoint)).await.unwrap();
        assert!(within(conformance::exchange(&mut link, &messages)).await == messages);
        let frame = CloseFrame::new(CloseCode::NORMAL, "");
        within(poll_fn(|cx| link.poll_close(cx, &frame))).await;
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_or_for_another_host_is_a_tls_error() {
    let (endpoint, certified) = encrypted().await;
    let error = fails(&endpoint).await;
    assert!(matches!(error, ConnectError::Tls(_)), "{error:?}");
    let connector = NativeConnector::new().with_root_certificates(certified.cert.der()).unwrap();
    let other = endpoint.replace("localhost", "127.0.0.1");
    let error = within(connector.connect(&other)).await.err().unwrap();
    assert!(matches!(error, ConnectError::Tls(_)), "{error:?}");
}

#[tokio::test]
async fn a_plain_server_is_a_tls_error_for_an_encrypted_client() {
    let (listener, port) = listen().await;
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        let _ = stream.read_u8().await;
    });
    let error = fails(&format!("wss://localhost:{port}/")).await;
    assert!(matches!(error, ConnectError::Tls(_)), "{error:?}");
}

#[test]
fn what_is_no_certificate_is_refused() {
    for file in [&b"nonsense"[..], b"", b"-----BEGIN CERTIFICATE-----\nnope\n-----END CERTIFICATE-----\n"] {
        assert!(NativeConnector::new().with_root_certificates(file).is_err());
    }
}
