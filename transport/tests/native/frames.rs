//! What goes over a link that was upgraded: limits, closes and violations.

use std::future::poll_fn;
use std::task::Poll;

use bowline_protocol::limits::Limits;
use bowline_protocol::status::CloseCode;
use bowline_transport::native::{Role, SocketLink};
use bowline_transport::{CloseFrame, Link, LinkError, Received};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};
use tokio_tungstenite::tungstenite::{Message, protocol};

use crate::{receive, within};

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
