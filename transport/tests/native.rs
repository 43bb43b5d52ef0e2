//! Links over sockets on loopback: both roles pass the suite for all links; then what only sockets have.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests count as tests")]

mod conformance;
mod echo;

use std::future::{Future, poll_fn};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bowline_protocol::limits::Limits;
use bowline_protocol::status::CloseCode;
use bowline_transport::native::{NativeConnector, Role, SocketLink};
use bowline_transport::{BoxLink, CloseFrame, Connect, ConnectError, Link, LinkError, Received};
use conformance::Maker;
use echo::Endings;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};
use tokio_tungstenite::tungstenite::{Message, protocol};

/// Links that connect to a plain echo server.
struct Connecting {
    endpoint: String,
    connector: NativeConnector,
}

impl Connecting {
    async fn new() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = format!("ws://{}/echo", listener.local_addr().unwrap());
        tokio::spawn(echo::serve(listener, Endings::default()));
        Self { endpoint, connector: NativeConnector::new() }
    }
}

impl Maker for Connecting {
    async fn link(&self) -> BoxLink {
        self.connector.connect(&self.endpoint).await.unwrap()
    }
}

/// Links that a server makes of accepted connections, with a plain client at the other end.
struct Accepting {
    listener: TcpListener,
    endings: Endings,
}

impl Accepting {
    async fn new() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        Self { listener, endings: Endings::default() }
    }
}

impl Maker for Accepting {
    async fn link(&self) -> BoxLink {
        let address = self.listener.local_addr().unwrap();
        let endings = self.endings.clone();
        tokio::spawn(async move {
            let stream = TcpStream::connect(address).await.unwrap();
            let socket = WebSocketStream::from_raw_socket(stream, protocol::Role::Client, None).await;
            echo::echo(socket, endings).await;
        });
        let (stream, _) = self.listener.accept().await.unwrap();
        Box::new(SocketLink::from_upgraded(stream, Role::Server, &Limits::default()))
    }
}

macro_rules! conform {
    ($module:ident, $maker:ident: $($check:ident)*) => {
        mod $module {
            use super::*;

            $(#[tokio::test]
            async fn $check() {
                within(conformance::$check(&$maker::new().await)).await;
            })*
        }
    };
}

macro_rules! conform_in_both_roles {
    ($($check:ident)*) => {
        conform!(client, Connecting: $($check)*);
        conform!(server, Accepting: $($check)*);
    };
}

conform_in_both_roles! {
    messages_arrive_whole_and_in_order
    text_is_reported_as_text
    our_close_reaches_the_other_end
    what_was_sent_arrives_before_our_close
    the_other_ends_close_arrives
    after_our_close_nothing_is_received
    closes_that_cross_end_both
    a_lost_link_is_reported
    a_dropped_link_is_seen_by_the_other_end
    a_reader_that_stops_makes_the_link_wait
}

/// A test that hangs says so.
async fn within<T>(test: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), test).await.expect("the test hangs")
}

async fn receive<L: Link>(link: &mut L) -> Result<Received, LinkError> {
    poll_fn(|cx| link.poll_receive(cx)).await
}

/// A link and the raw bytes of its other end.
fn raw(role: Role, limits: &Limits) -> (SocketLink<DuplexStream>, DuplexStream) {
    let (ours, theirs) = duplex(64 * 1024);
    (SocketLink::from_upgraded(ours, role, limits), theirs)
}

/// A link and the socket library at its other end.
async fn socket(limits: &Limits) -> (SocketLink<DuplexStream>, WebSocketStream<DuplexStream>) {
    let (ours, theirs) = raw(Role::Server, limits);
    (ours, WebSocketStream::from_raw_socket(theirs, protocol::Role::Client, None).await)
}

/// The violation that the link reports, after it was closed as the driver does it, and the close at the other end.
async fn violation(
    mut link: SocketLink<DuplexStream>,
    other: WebSocketStream<DuplexStream>,
) -> (CloseFrame, Message) {
    let closing = async {
        let Err(LinkError::Violation(frame)) = receive(&mut link).await else { panic!("no violation") };
        poll_fn(|cx| link.poll_close(cx, &frame)).await;
        assert!(matches!(receive(&mut link).await, Err(LinkError::Lost(_))));
        frame
    };
    let reading = async {
        let mut other = other;
        let message = other.next().await.unwrap().unwrap();
        while other.next().await.is_some_and(|message| message.is_ok()) {}
        message
    };
    within(async { tokio::join!(closing, reading) }).await
}

fn small() -> Limits {
    Limits { message_in: 1000, message_out: 1000, ..Limits::default() }
}

#[tokio::test]
async fn a_message_above_the_limit_closes_with_1009_and_the_other_end_learns_it() {
    let (mut link, mut other) = socket(&small()).await;
    other.send(Message::binary(vec![0; 1000])).await.unwrap();
    assert!(matches!(receive(&mut link).await.unwrap(), Received::Binary(message) if message.len() == 1000));
    // Bytes behind the offending header are never read as frames; there are many of them.
    other.feed(Message::binary(vec![0; 30_000])).await.unwrap();
    other.flush().await.unwrap();
    let (frame, message) = violation(link, other).await;
    assert_eq!(frame.code, CloseCode::TOO_BIG);
    assert_eq!(frame.reason, "a message of 30000 bytes is larger than the 1000 that are read here");
    let Message::Close(Some(close)) = message else { panic!("{message:?}") };
    assert_eq!((u16::from(close.code), close.reason.as_str()), (1009, frame.reason.as_str()));
}

#[tokio::test]
async fn a_length_above_the_limit_is_refused_before_anything_of_it_arrives() {
    let (mut link, mut other) = raw(Role::Server, &small());
    let mut header = vec![0x82, 0x80 | 127];
    header.extend((1_u64 << 40).to_be_bytes());
    header.extend([0; 4]);
    other.write_all(&header).await.unwrap();
    let Err(LinkError::Violation(frame)) = within(receive(&mut link)).await else { panic!("no violation") };
    assert_eq!(frame.code, CloseCode::TOO_BIG);
}

#[tokio::test]
async fn a_close_waits_for_the_other_end() {
    let closing = CloseFrame::new(CloseCode::NORMAL, "");
    let (mut link, other) = raw(Role::Server, &small());
    assert!(poll_fn(|cx| Poll::Ready(link.poll_close(cx, &closing).is_pending())).await);
    drop(other);
    within(poll_fn(|cx| link.poll_close(cx, &closing))).await;

    // After a violation as well: over unread bytes the end would overtake the close.
    let (mut link, mut other) = raw(Role::Server, &small());
    other.write_all(&[0x82, 2, b'h', b'i']).await.unwrap();
    let Err(LinkError::Violation(frame)) = receive(&mut link).await else { panic!("no violation") };
    assert!(poll_fn(|cx| Poll::Ready(link.poll_close(cx, &frame).is_pending())).await);
    drop(other);
    within(poll_fn(|cx| link.poll_close(cx, &frame))).await;
}

#[tokio::test]
async fn fragments_are_counted_together() {
    let (link, mut other) = socket(&small()).await;
    let fragment = |op, last| Message::Frame(Frame::message(vec![0; 600], OpCode::Data(op), last));
    other.send(fragment(Data::Binary, false)).await.unwrap();
    other.send(fragment(Data::Continue, true)).await.unwrap();
    assert_eq!(violation(link, other).await.0.code, CloseCode::TOO_BIG);
}

#[tokio::test]
async fn a_frame_without_a_mask_closes_with_1002() {
    let (link, mut other) = raw(Role::Server, &Limits::default());
    other.write_all(&[0x82, 2, b'h', b'i']).await.unwrap();
    let other = WebSocketStream::from_raw_socket(other, protocol::Role::Client, None).await;
    let (frame, message) = violation(link, other).await;
    assert_eq!(frame.code, CloseCode::PROTOCOL);
    assert!(matches!(message, Message::Close(Some(close)) if u16::from(close.code) == 1002));
}

#[tokio::test]
async fn text_that_is_not_utf8_closes_with_1007() {
    let (link, mut other) = socket(&Limits::default()).await;
    let frame = Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true);
    other.send(Message::Frame(frame)).await.unwrap();
    assert_eq!(violation(link, other).await.0.code, CloseCode::INVALID_DATA);
}

#[tokio::test]
async fn reserved_bits_close_with_1002() {
    let (link, mut other) = socket(&Limits::default()).await;
    let header = FrameHeader { rsv1: true, opcode: OpCode::Data(Data::Binary), ..FrameHeader::default() };
    other.send(Message::Frame(Frame::from_payload(header, "x".into()))).await.unwrap();
    assert_eq!(violation(link, other).await.0.code, CloseCode::PROTOCOL);
}

#[tokio::test]
async fn a_ping_is_answered_without_anything_to_send() {
    let (mut link, mut other) = socket(&Limits::default()).await;
    other.send(Message::Ping("are you there".into())).await.unwrap();
    let receiving = async { receive(&mut link).await.unwrap() };
    let asking = async {
        let pong = other.next().await.unwrap().unwrap();
        other.send(Message::binary("done")).await.unwrap();
        pong
    };
    let (received, pong) = within(async { tokio::join!(receiving, asking) }).await;
    assert_eq!(pong, Message::Pong("are you there".into()));
    assert_eq!(received, Received::Binary("done".into()));
}

#[tokio::test]
async fn a_close_code_that_must_not_travel_is_left_out() {
    let (mut link, mut other) = socket(&Limits::default()).await;
    let frame = CloseFrame::new(CloseCode::ABNORMAL, "lost");
    let closing = poll_fn(|cx| link.poll_close(cx, &frame));
    let (message, ()) = within(async {
        let reading = async {
            let message = other.next().await.unwrap().unwrap();
            while other.next().await.is_some() {}
            message
        };
        tokio::join!(reading, closing)
    })
    .await;
    assert_eq!(message, Message::Close(None));
}

#[tokio::test]
async fn a_message_that_can_never_go_is_refused_and_the_link_goes_on() {
    let (mut link, mut other) = socket(&small()).await;
    let error = link.start_send(vec![0; 1 << 20].into()).unwrap_err();
    assert!(matches!(error, LinkError::TooLarge { size: 1_048_576, .. }), "{error}");
    link.start_send("small".into()).unwrap();
    poll_fn(|cx| link.poll_flush(cx)).await.unwrap();
    assert_eq!(within(other.next()).await.unwrap().unwrap(), Message::binary("small"));
}

#[tokio::test]
async fn a_slow_reader_shows_as_progress() {
    let (ours, mut theirs) = duplex(1000);
    let mut link = SocketLink::from_upgraded(ours, Role::Server, &Limits::default());
    link.start_send(vec![0; 10_000].into()).unwrap();
    assert!(poll_fn(|cx| Poll::Ready(link.poll_flush(cx).is_pending())).await);
    let before = link.written();
    assert_eq!(before, 1000);
    theirs.read_exact(&mut [0; 300]).await.unwrap();
    assert!(poll_fn(|cx| Poll::Ready(link.poll_flush(cx).is_pending())).await);
    assert_eq!(link.written(), before + 300);
}

#[tokio::test]
async fn half_a_message_and_then_the_end_is_a_lost_link() {
    let (mut link, mut other) = raw(Role::Client, &Limits::default());
    other.write_all(&[0x82, 5, b'h', b'a']).await.unwrap();
    drop(other);
    assert!(matches!(within(receive(&mut link)).await, Err(LinkError::Lost(_))));
}

// ---- connecting -----------------------------------------------------------------------------------------------

/// A server that reads one request head per connection and then does as it is told. Gives the endpoint.
async fn server<F>(answer: impl Fn(TcpStream, String) -> F + Send + 'static) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("ws://{}/ws?room=1", listener.local_addr().unwrap());
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

async fn fails(endpoint: &str) -> ConnectError {
    within(NativeConnector::new().connect(endpoint)).await.expect_err("no link")
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
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("ws://{}", listener.local_addr().unwrap());
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
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("ws://{}", listener.local_addr().unwrap());
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
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let endpoint = format!("ws://{}", listener.local_addr().unwrap());
    let start = tokio::time::Instant::now();
    let error = NativeConnector::new().connect(&endpoint).await.err().unwrap();
    assert!(matches!(error, ConnectError::Timeout), "{error:?}");
    assert_eq!(start.elapsed().as_secs(), 10);
}

// ---- encryption -----------------------------------------------------------------------------------------------

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
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
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
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
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
