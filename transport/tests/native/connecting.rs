//! The way to a link: the request, its answers, and how it fails.

use std::future::Future;

use bowline_transport::native::NativeConnector;
use bowline_transport::{Connect, ConnectError, Received};
use futures_util::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{fails, listen, receive, within};

/// A server that reads one request head per connection and then does as it is told. Gives the endpoint.
async fn server<F>(answer: impl Fn(TcpStream, String) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let (listener, port) = listen().await;
    let endpoint = format!("ws://127.0.0.1:{port}/ws?room=1");
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let head = read_head(&mut stream).await;
            tokio::spawn(answer(stream, head));
        }
    });
    endpoint
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Answers each piece as a write of its own.
async fn answers(pieces: &'static [&'static str]) -> String {
    server(move |mut stream, _| async move {
        for piece in pieces {
            stream.write_all(piece.as_bytes()).await.unwrap();
            stream.flush().await.unwrap();
            tokio::task::yield_now().await;
        }
        // Until the client has had enough.
        let _ = stream.read_u8().await;
    })
    .await
}

#[tokio::test]
async fn the_request_names_host_subprotocol_and_own_headers() {
    let (heads, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let endpoint = server(move |stream, head| {
        heads.send(head).unwrap();
        async move { drop(stream) }
    })
    .await;
    let name = |name: &'static str| http::HeaderName::from_static(name);
    let connector = NativeConnector::new()
        .with_header(name("authorization"), http::HeaderValue::from_static("Bearer x"))
        .with_header(name("origin"), http::HeaderValue::from_static("https://example.org"))
        .with_header(name("sec-websocket-protocol"), http::HeaderValue::from_static("other"))
        .with_header(name("host"), http::HeaderValue::from_static("elsewhere"));
    let error = connector.connect(&endpoint).await.err().unwrap();
    assert!(matches!(error, ConnectError::Protocol(_)), "{error:?}");
    let head = seen.recv().await.unwrap().to_ascii_lowercase();
    let host = endpoint.strip_prefix("ws://").unwrap().split('/').next().unwrap();
    assert!(head.starts_with("get /ws?room=1 http/1.1\r\n"), "{head}");
    for line in [
        &format!("host: {host}"),
        "sec-websocket-protocol: bowline.v1",
        "sec-websocket-version: 13",
        "authorization: bearer x",
        "origin: https://example.org",
    ] {
        assert_eq!(head.matches(&format!("\r\n{line}\r\n")).count(), 1, "{line} in {head}");
    }
    assert!(!head.contains("elsewhere") && !head.contains("other"), "{head}");
}

#[tokio::test]
async fn what_comes_right_behind_the_answer_is_not_lost() {
    let endpoint = server(|mut stream, head| async move {
        let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let accept = tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes());
        let mut answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\
             Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: bowline.v1\r\n\r\n"
        )
        .into_bytes();
        answer.extend([0x82, 2, b'h', b'i']);
        stream.write_all(&answer).await.unwrap();
        let _ = stream.read_u8().await;
    })
    .await;
    let mut link = NativeConnector::new().connect(&endpoint).await.unwrap();
    assert_eq!(within(receive(&mut link)).await.unwrap(), Received::Binary("hi".into()));
}

#[tokio::test]
async fn a_refused_upgrade_says_why() {
    for (pieces, status, message) in [
        (
            // The sentence comes later than the head.
            &[
                "HTTP/1.1 403 Forbidden\r\nContent-Le",
                "ngth: 24\r\n\r\n",
                "This origin may ",
                "not in.\n more",
            ][..],
            403,
            "This origin may not in.",
        ),
        (&["HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"], 404, "Not Found"),
        (&["HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"], 200, "OK"),
        (&["HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"], 302, "Found"),
    ] {
        let error = fails(&answers(pieces).await).await;
        let ConnectError::Upgrade { status: got, message: said } = &error else { panic!("{error:?}") };
        assert_eq!((*got, said.as_str()), (status, message));
        assert!(!error.is_permanent());
    }
}

#[tokio::test]
async fn an_answer_that_is_none_is_a_protocol_error() {
    for (answer, cause) in [
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", "the answer upgrades to something else"),
        (
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: nonsense\r\nSec-WebSocket-Protocol: bowline.v1\r\n\r\n",
            "the answer belongs to another request",
        ),
    ] {
        let error = fails(&answers(Box::leak(Box::new([answer]))).await).await;
        let ConnectError::Protocol(source) = &error else { panic!("{error:?}") };
        assert_eq!(source.to_string(), cause);
    }
    assert!(matches!(fails(&answers(&["SSH-2.0-OpenSSH\r\n\r\n"]).await).await, ConnectError::Protocol(_)));
}

#[tokio::test]
async fn a_server_that_chooses_no_subprotocol_is_refused() {
    let (listener, port) = listen().await;
    let endpoint = format!("ws://127.0.0.1:{port}");
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        socket.next().await
    });
    let error = fails(&endpoint).await;
    let ConnectError::Protocol(source) = &error else { panic!("{error:?}") };
    assert_eq!(source.to_string(), "the server chose no subprotocol");
}

#[tokio::test]
async fn a_head_without_an_end_is_given_up() {
    let endpoint = server(|mut stream, _| async move {
        stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n").await.unwrap();
        while stream.write_all(b"X-More: and more\r\n").await.is_ok() {}
    })
    .await;
    assert!(matches!(fails(&endpoint).await, ConnectError::Protocol(_)));
}

#[tokio::test]
async fn nobody_at_the_port_is_refused() {
    let (listener, port) = listen().await;
    let endpoint = format!("ws://127.0.0.1:{port}");
    drop(listener);
    let error = fails(&endpoint).await;
    assert!(matches!(error, ConnectError::Refused(_)), "{error:?}");
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_named() {
    let error = fails("ws://nobody.invalid/ws").await;
    let ConnectError::Dns { host, .. } = &error else { panic!("{error:?}") };
    assert_eq!(host, "nobody.invalid");
}

#[tokio::test]
async fn a_wrong_endpoint_is_refused_without_a_try() {
    assert!(matches!(fails("/ws").await, ConnectError::Endpoint { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_given_up_after_ten_seconds() {
    let (_listener, port) = listen().await;
    let endpoint = format!("ws://127.0.0.1:{port}");
    let start = tokio::time::Instant::now();
    let error = NativeConnector::new().connect(&endpoint).await.err().unwrap();
    assert!(matches!(error, ConnectError::Timeout), "{error:?}");
    assert_eq!(start.elapsed().as_secs(), 10);
}
