//! Every kind of bad input has its status or its close code, and a neighbour's connection never notices.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use std::net::SocketAddr;

use bowline::prelude::*;
use bowline_protocol::codec::Codec;
use bowline_protocol::envelope::{
    Ack, CallRef, Control, Declaration, DeclareAnswer, Envelope, Hello, Opener, Payload, Sequenced,
};
use bowline_protocol::limits::Limits;
use bowline_protocol::status::{CloseCode, Code};
use bowline_server::Server;
use support::probe::{Named, ProbeClient, ProbeServer, Service, method};
use support::{Failed, LIMITS, Socket, hello, request, start};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A server, a connection to be maltreated, and a neighbour.
struct Case {
    server: Server,
    address: SocketAddr,
    service: Service,
    neighbour: Socket,
    before: usize,
}

impl Case {
    async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    async fn with(limits: Limits) -> Self {
        let service = Service::default();
        let server = Server::builder().service(ProbeServer::new(service.clone())).limits(limits).build();
        let address = start(&server).await;
        let neighbour = Socket::connect(address, &[ProbeClient::SERVICE]).await;
        Self { server, address, service, neighbour, before: 0 }
    }

    async fn socket(&self) -> Socket {
        Socket::connect(self.address, &[ProbeClient::SERVICE]).await
    }

    /// The neighbour calls as if nothing had happened.
    async fn neighbour_works(&mut self) {
        self.before += 1;
        let sum = self.neighbour.call(method::ADD, &format!(r#"{{"a":{},"b":1}}"#, self.before)).await;
        assert_eq!(sum.unwrap(), (self.before + 1).to_string());
    }

    /// The link was closed with this code, which this sentence explains; the neighbour works.
    async fn closed(&mut self, socket: &mut Socket, code: CloseCode, sentence: &str) {
        let (closed, reason) = socket.closed().await;
        assert_eq!(closed, code.number(), "{reason}");
        assert!(reason.contains(sentence), "{reason:?} does not contain {sentence:?}");
        self.neighbour_works().await;
    }

    /// The call failed with this code, the link lives, and the neighbour works.
    async fn failed(&mut self, socket: &mut Socket, call: CallRef, code: Code) -> String {
        let Err(Failed::Status(stated, message, _)) = socket.ended(call).await else {
            panic!("the call succeeded")
        };
        assert_eq!(stated, code, "{message}");
        assert_eq!(socket.call(method::ADD, r#"{"a":1,"b":2}"#).await.unwrap(), "3");
        self.neighbour_works().await;
        message
    }
}

fn by_writer(id: u32) -> CallRef {
    CallRef { id, opener: Opener::Writer }
}

fn rkyv(value: &impl bowline_protocol::codec::Payload) -> Vec<u8> {
    let mut bytes = Vec::new();
    value.encode(Codec::Rkyv, &mut bytes).unwrap();
    bytes
}

#[bowline::message]
struct NameArgs {
    named: Named,
}

fn named(name: &str) -> Vec<u8> {
    rkyv(&NameArgs { named: Named { name: name.into(), flag: true } })
}

#[tokio::test]
async fn both_codecs_work_to_begin_with() {
    let mut case = Case::new().await;
    let mut socket = case.socket().await;
    let call = socket.open_as(0, method::NAME, Codec::Rkyv, named("Ada, the countess")).await;
    assert!(socket.ended(call).await.unwrap().starts_with(b"Ada, the countess"));
    let name = socket.call(method::NAME, r#"{"named":{"name":"Ada","flag":true}}"#).await;
    assert_eq!(name.unwrap(), r#""Ada""#);
    case.neighbour_works().await;
}

#[tokio::test]
async fn an_unknown_method_or_service_is_an_error_of_that_call() {
    let mut case = Case::new().await;
    let mut socket = case.socket().await;
    let call = socket.open(method::UNKNOWN, "{}").await;
    case.failed(&mut socket, call, Code::Unimplemented).await;
    let call = socket.open_as(5, method::ADD, Codec::Json, b"{}".to_vec()).await;
    case.failed(&mut socket, call, Code::Unimplemented).await;
}

#[tokio::test]
async fn an_unknown_service_is_declared_unknown() {
    let mut case = Case::new().await;
    let mut socket = case.socket().await;
    let declaration = Declaration { name: "Nothing".into(), digest: 7 };
    socket.send_numbered(Sequenced::Declare { service: 1, declaration }).await;
    let answer = loop {
        if let Envelope::Sequenced(_, Sequenced::Declared { service: 1, answer }) = socket.next().await {
            break answer;
        }
    };
    assert_eq!(answer, DeclareAnswer::Unknown);
    let call = socket.open_as(1, 0, Codec::Json, b"{}".to_vec()).await;
    case.failed(&mut socket, call, Code::Unimplemented).await;
}

#[tokio::test]
async fn wrong_arguments_fail_their_call() {
    let mut case = Case::new().await;
    let mut socket = case.socket().await;
    // JSON is spoken where the two ends differ, so what doesn't fit is a difference.
    for arguments in [r#"{"a":1}"#, r#"{"a":"one","b":2}"#, r#"{"a":-1,"b":2}"#, "[]", "", "{", "nonsense"] {
        let call = socket.open(method::ADD, arguments).await;
        let message = case.failed(&mut socket, call, Code::SchemaMismatch).await;
        assert!(message.contains("Probe/add"), "{message}");
    }
    for arguments in [&b""[..], b"x", &[0xff; 64]] {
        let call = socket.open_as(0, method::NAME, Codec::Rkyv, arguments.to_vec()).await;
        case.failed(&mut socket, call, Code::InvalidArgument).await;
    }
}

#[tokio::test]
async fn bytes_under_the_wrong_codec_fail_their_call() {
    let mut case = Case::new().await;
    let mut socket = case.socket().await;
    let call = socket.open_as(0, method::NAME, Codec::Json, named("Ada, the countess")).await;
    case.failed(&mut socket, call, Code::SchemaMismatch).await;
    let json = br#"{"named":{"name":"Ada","flag":true}}"#;
    let call = socket.open_as(0, method::NAME, Codec::Rkyv, json.to_vec()).await;
    case.failed(&mut socket, call, Code::InvalidArgument).await;
}

#[tokio::test]
async fn a_payload_that_fails_validation_fails_its_call() {
    let mut case = Case::new().await;
    let mut socket = case.socket().await;
    let valid = named("a name too long to be inline");

    // A `bool` of 2, a name that is not UTF-8, a name that points out of the payload.
    let flag = {
        let other =
            rkyv(&NameArgs { named: Named { name: "a name too long to be inline".into(), flag: false } });
        (0..valid.len()).find(|at| valid[*at] != other[*at]).unwrap()
    };
    let mut spoilt = vec![valid.clone(); 3];
    spoilt[0][flag] = 2;
    spoilt[1][3] = 0xff;
    let last = valid.len() - 8;
    spoilt[2][last..last + 3].fill(0x7f);
    for arguments in spoilt {
        assert_ne!(arguments, valid);
        let call = socket.open_as(0, method::NAME, Codec::Rkyv, arguments).await;
        case.failed(&mut socket, call, Code::InvalidArgument).await;
    }
    // And one that stops in the middle.
    let call = socket.open_as(0, method::NAME, Codec::Rkyv, valid[..valid.len() - 3].to_vec()).await;
    case.failed(&mut socket, call, Code::InvalidArgument).await;
}

#[tokio::test]
async fn a_truncated_message_is_malformed() {
    let mut case = Case::new().await;
    let mut whole = Vec::new();
    let mut socket = case.socket().await;
    let open = socket.call_open(0, method::ADD, Codec::Json, Payload::Whole(r#"{"a":1,"b":2}"#.into()));
    let envelope = socket.number(Sequenced::Call(open));
    bowline_protocol::envelope::Encoder::new(&mut whole).push(&envelope);
    for len in [whole.len() - 1, 3, 1, 0] {
        let mut socket = case.socket().await;
        socket.send_bytes(whole[..len].to_vec()).await;
        case.closed(&mut socket, CloseCode::MALFORMED, "").await;
    }
}

#[tokio::test]
async fn an_oversized_message_is_refused_unread() {
    let mut case = Case::new().await;
    let mut socket = case.socket().await;
    // Beyond 1 MiB; the server answers before it has read the end.
    socket.send_bytes(vec![0; LIMITS.message as usize + 1]).await;
    case.closed(&mut socket, CloseCode::TOO_BIG, "").await;
}

#[tokio::test]
async fn an_oversized_payload_fails_its_call_before_it_is_sent() {
    let mut case = Case::with(Limits { payload_in: 1024 * 1024, ..Limits::default() }).await;
    let mut socket = case.socket().await;
    let payload = Payload::Chunked { transfer: 0, len: 1024 * 1024 + 1 };
    let open = socket.call_open(0, method::NAME, Codec::Rkyv, payload);
    let call = by_writer(open.id);
    socket.send_numbered(Sequenced::Call(open)).await;
    case.failed(&mut socket, call, Code::ResourceExhausted).await;
}

#[tokio::test]
async fn large_payloads_beyond_their_credit_are_malformed() {
    let mut case = Case::new().await;
    let mut socket = case.socket().await;
    for (transfer, len) in [(0, LIMITS.assembly - 100_000), (1, 100_001)] {
        let open = socket.call_open(0, method::NAME, Codec::Rkyv, Payload::Chunked { transfer, len });
        socket.send_numbered(Sequenced::Call(open)).await;
    }
    case.closed(&mut socket, CloseCode::MALFORMED, "").await;
}

#[tokio::test]
async fn an_unknown_envelope_or_codec_is_malformed() {
    let mut case = Case::new().await;
    for bytes in [&[0x7f][..], &[0xff, 1], &[0x00], b"GET / HTTP/1.1\r\n"] {
        let mut socket = case.socket().await;
        socket.send_bytes(bytes.to_vec()).await;
        case.closed(&mut socket, CloseCode::MALFORMED, "").await;
    }
}

#[tokio::test]
async fn a_sequence_number_out_of_order_is_out_of_step() {
    let mut case = Case::new().await;
    let mut socket = case.socket().await;
    let open = socket.call_open(0, method::ADD, Codec::Json, Payload::Whole(r#"{"a":1,"b":2}"#.into()));
    socket.send(&[Envelope::Sequenced(2, Sequenced::Call(open))]).await;
    case.closed(&mut socket, CloseCode::OUT_OF_STEP, "").await;

    let mut socket = case.socket().await;
    socket.send(&[Envelope::Control(Control::Ack(Ack { seq: 1000, unsequenced: 0 }))]).await;
    case.closed(&mut socket, CloseCode::OUT_OF_STEP, "").await;
}

#[tokio::test]
async fn a_repeated_sequence_number_is_dropped() {
    let mut case = Case::new().await;
    let mut socket = case.socket().await;
    let open = socket.call_open(0, method::ADD, Codec::Json, Payload::Whole(r#"{"a":1,"b":2}"#.into()));
    let call = by_writer(open.id);
    let envelope = socket.number(Sequenced::Call(open));
    socket.send(std::slice::from_ref(&envelope)).await;
    socket.send(&[envelope]).await;
    assert_eq!(socket.ended(call).await.unwrap(), "3");
    assert_eq!(socket.call(method::ADD, r#"{"a":2,"b":2}"#).await.unwrap(), "4");
    case.neighbour_works().await;
}

#[tokio::test]
async fn a_hello_that_is_none_is_refused() {
    let mut case = Case::new().await;

    // Something else first.
    let mut socket = Socket::upgrade(case.address).await;
    socket.open(method::ADD, r#"{"a":1,"b":2}"#).await;
    case.closed(&mut socket, CloseCode::MALFORMED, "hello").await;

    // Garbage.
    let mut socket = Socket::upgrade(case.address).await;
    socket.send_bytes(&b"hello"[..]).await;
    case.closed(&mut socket, CloseCode::MALFORMED, "").await;

    // Versions of the future.
    let mut socket = Socket::upgrade(case.address).await;
    socket
        .send(&[Envelope::Control(Control::Hello(Box::new(Hello { versions: vec![3, 2], ..hello(&[]) })))])
        .await;
    case.closed(&mut socket, CloseCode::VERSION, "").await;

    // A second one.
    let mut socket = case.socket().await;
    socket.send(&[Envelope::Control(Control::Hello(Box::new(hello(&[]))))]).await;
    case.closed(&mut socket, CloseCode::MALFORMED, "handshake").await;

    // A call right behind it, before the welcome.
    let mut socket = Socket::upgrade(case.address).await;
    let greeting = Envelope::Control(Control::Hello(Box::new(hello(&[ProbeClient::SERVICE]))));
    let open = socket.call_open(0, method::ADD, Codec::Json, Payload::Whole(r#"{"a":1,"b":2}"#.into()));
    let call = socket.number(Sequenced::Call(open));
    socket.send(&[greeting, call]).await;
    case.closed(&mut socket, CloseCode::MALFORMED, "").await;
}

#[tokio::test]
async fn text_is_refused_with_a_sentence() {
    let mut case = Case::new().await;
    let mut socket = case.socket().await;
    socket.send_text(r#"{"jsonrpc":"2.0","method":"add","params":[1,2],"id":1}"#).await;
    case.closed(&mut socket, CloseCode::UNSUPPORTED, "binary").await;

    let mut socket = Socket::upgrade(case.address).await;
    socket.send_text("hello").await;
    case.closed(&mut socket, CloseCode::UNSUPPORTED, "binary").await;
}

#[tokio::test]
async fn without_our_subprotocol_the_upgrade_is_refused_with_a_sentence() {
    let mut case = Case::new().await;
    for offered in [None, Some("jsonrpc"), Some("bowline.v2")] {
        let offered = offered.map_or_else(String::new, |name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
        let answer = http(
            case.address,
            &format!(
                "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{offered}\
                 \r\n"
            ),
        )
        .await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.contains("JSON-RPC") && answer.contains("later version"), "{answer}");
        case.neighbour_works().await;
    }
}

#[tokio::test]
async fn a_request_that_is_no_upgrade_is_told_so() {
    let mut case = Case::new().await;
    let answer = http(case.address, "GET /ws HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert!(answer.contains("Bowline client"), "{answer}");
    case.neighbour_works().await;

    let answer = http(
        case.address,
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Protocol: bowline.v1\r\n\r\n",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert!(answer.to_lowercase().contains("sec-websocket-version: 13"), "{answer}");
    case.neighbour_works().await;
}

/// One request as bytes; the answer as text, as far as its body goes.
async fn http(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&answer).to_lowercase();
        let length =
            text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if let (Some((_, body)), Some(length)) = (text.split_once("\r\n\r\n"), length)
            && body.len() >= length
        {
            return String::from_utf8(answer).unwrap();
        }
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "closed after {text}");
    }
}

#[tokio::test]
async fn an_item_after_the_end_fails_its_call() {
    let mut case = Case::new().await;
    let mut socket = case.socket().await;
    // A handler that hangs is sure not to have answered before the item arrives.
    let call = socket.open(method::IGNORE, "{}").await;
    socket.send_numbered(Sequenced::End { call, last: None }).await;
    socket
        .send_numbered(Sequenced::Item {
            call,
            codec: Codec::Json,
            payload: Payload::Whole(r#""late""#.into()),
        })
        .await;
    case.failed(&mut socket, call, Code::InvalidArgument).await;
    case.service.running.wait_for(0).await;
}

#[tokio::test]
async fn an_item_that_cannot_be_decoded_fails_its_call() {
    let mut case = Case::new().await;
    let mut socket = case.socket().await;
    let call = socket.open(method::TOTAL, "{}").await;
    for item in ["1", "2", r#""three""#] {
        let payload = Payload::Whole(item.into());
        socket.send_numbered(Sequenced::Item { call, codec: Codec::Json, payload }).await;
    }
    case.failed(&mut socket, call, Code::SchemaMismatch).await;
}

#[tokio::test]
async fn an_item_for_a_call_without_upload_is_malformed() {
    let mut case = Case::new().await;
    let mut socket = case.socket().await;
    let call = socket.open(method::HANG, "{}").await;
    let payload = Payload::Whole("1".into());
    socket.send_numbered(Sequenced::Item { call, codec: Codec::Json, payload }).await;
    case.closed(&mut socket, CloseCode::MALFORMED, "").await;
    case.service.running.wait_for(0).await;
}

#[tokio::test]
async fn items_beyond_their_credit_are_malformed() {
    let mut case = Case::new().await;
    let mut socket = case.socket().await;
    let call = socket.open(method::IGNORE, "{}").await;
    // The handler reads nothing, so its window of 64 KiB is all there is.
    let item = format!("{:?}", "x".repeat(30 * 1024));
    for _ in 0..3 {
        let payload = Payload::Whole(item.clone().into());
        socket.send_numbered(Sequenced::Item { call, codec: Codec::Json, payload }).await;
    }
    case.closed(&mut socket, CloseCode::MALFORMED, "").await;
    case.service.running.wait_for(0).await;
}

#[tokio::test]
async fn calls_beyond_their_credit_are_malformed() {
    let mut case = Case::new().await;
    let mut socket = case.socket().await;
    for _ in 0..LIMITS.calls {
        socket.open(method::HANG, "{}").await;
    }
    case.service.running.wait_for(LIMITS.calls as usize).await;
    case.neighbour_works().await;
    socket.open(method::HANG, "{}").await;
    case.closed(&mut socket, CloseCode::MALFORMED, "").await;
    case.service.running.wait_for(0).await;
}

#[tokio::test]
async fn a_call_id_in_use_is_malformed() {
    let mut case = Case::new().await;
    let mut socket = case.socket().await;
    let open = socket.call_open(0, method::HANG, Codec::Json, Payload::Whole("{}".into()));
    socket.send_numbered(Sequenced::Call(open.clone())).await;
    socket.send_numbered(Sequenced::Call(open)).await;
    case.closed(&mut socket, CloseCode::MALFORMED, "").await;
}

#[tokio::test]
async fn a_handler_that_panics_ends_its_call_with_an_id() {
    let mut case = Case::new().await;
    let mut socket = case.socket().await;
    let call = socket.open(method::PANICS, "{}").await;
    let Err(Failed::Status(Code::Internal, message, id)) = socket.ended(call).await else {
        panic!("no panic")
    };
    assert_ne!(id, 0);
    assert!(!message.contains("swordfish"), "{message}");
    assert_eq!(socket.call(method::ADD, r#"{"a":1,"b":2}"#).await.unwrap(), "3");
    case.neighbour_works().await;
}

#[tokio::test]
async fn an_unmasked_frame_is_a_protocol_error() {
    let mut case = Case::new().await;
    let mut stream = Socket::connect(case.address, &[]).await.into_inner();
    stream.write_all(&[0x82, 0x01, 0x00]).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    // The last frame is a close with 1002.
    let close = answer.windows(2).position(|bytes| bytes[0] == 0x88).unwrap();
    assert_eq!(answer[close + 2..close + 4], 1002_u16.to_be_bytes());
    case.neighbour_works().await;
}

#[tokio::test]
async fn an_upgrade_of_a_strange_page_is_forbidden() {
    let mut case = Case::new().await;
    for (origin, admitted) in [("http://localhost", true), ("https://evil.com", false), ("null", false)] {
        let mut request = request("localhost");
        request.headers_mut().insert("origin", origin.parse().unwrap());
        let stream = TcpStream::connect(case.address).await.unwrap();
        let upgraded = tokio_tungstenite::client_async(request, stream).await;
        match upgraded {
            Ok(_) => assert!(admitted, "{origin} was admitted"),
            Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
                assert!(!admitted, "{origin} was refused");
                assert_eq!(response.status(), 403);
            }
            Err(error) => panic!("{error}"),
        }
        case.neighbour_works().await;
    }
}

#[tokio::test]
async fn nothing_is_left_of_any_of_them() {
    let mut case = Case::new().await;
    for message in [&[0x7f][..], &[0xff, 1], b""] {
        let mut socket = case.socket().await;
        socket.open(method::HANG, "{}").await;
        socket.send_bytes(message.to_vec()).await;
        socket.closed().await;
        drop(socket);
    }
    case.service.running.wait_for(0).await;
    while case.server.sessions() > 1 {
        tokio::task::yield_now().await;
    }
    case.neighbour_works().await;
}
