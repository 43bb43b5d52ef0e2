//! What every kind of link keeps, against an other end that echoes and takes orders (see `echo/order.rs`).

#![allow(dead_code, reason = "each kind of link runs the checks that fit it")]

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use bowline_protocol::status::CloseCode;
use bowline_runtime::timeout;
use bowline_transport::{BoxLink, CloseFrame, Link, LinkError, Received};
use bytes::Bytes;

/// Makes links whose other end is an echo. All of one maker share a memory of how named links ended.
pub(crate) trait Maker {
    async fn link(&self) -> BoxLink;
}

/// Gives `$conform` the names of the checks that every link passes, and `$more`.
macro_rules! checks {
    ($conform:ident $($more:ident)*) => {
        $conform! {
            messages_arrive_whole_and_in_order
            our_close_reaches_the_other_end
            what_was_sent_arrives_before_our_close
            the_other_ends_close_arrives
            after_our_close_nothing_is_received
            closes_that_cross_end_both
            a_lost_link_is_reported
            a_dropped_link_is_seen_by_the_other_end
            a_reader_that_stops_makes_the_link_wait
            $($more)*
        }
    };
}

pub(crate) use checks;

/// How long nothing has to happen before we believe that it never will.
const NEVER: Duration = Duration::from_millis(300);
/// More than kernels and browsers hold for one socket.
const BOUND: usize = 32 * 1024 * 1024;

pub(crate) async fn messages_arrive_whole_and_in_order(maker: &impl Maker) {
    let mut link = maker.link().await;
    let mut messages: Vec<Bytes> =
        [0, 1, 2, 125, 126, 65_535, 65_536, 1 << 20, 0, 1].iter().enumerate().map(pattern).collect();
    messages.extend((0..500).map(|n| Bytes::from(format!("small {n}"))));
    let echoed = exchange(&mut link, &messages).await;
    // Not `assert_eq`: a megabyte helps nobody.
    for (n, (sent, received)) in messages.iter().zip(&echoed).enumerate() {
        assert!(sent == received, "message {n}: sent {} bytes, received {}", sent.len(), received.len());
    }
}

pub(crate) async fn text_is_reported_as_text(maker: &impl Maker) {
    let mut link = maker.link().await;
    send(&mut link, "echo:text").await;
    assert_eq!(receive(&mut link).await.unwrap(), Received::Text);
    assert_eq!(exchange(&mut link, &["still here".into()]).await, ["still here"]);
}

pub(crate) async fn our_close_reaches_the_other_end(maker: &impl Maker) {
    let reason = format!("{}é", "x".repeat(121));
    for (name, code, reason) in
        [("a", CloseCode::NORMAL, "bye"), ("b", CloseCode::SLOW, ""), ("c", CloseCode::MALFORMED, &reason)]
    {
        let name = format!("our-close-{name}");
        let mut link = maker.link().await;
        send(&mut link, &format!("echo:name:{name}")).await;
        close(&mut link, &CloseFrame::new(code, reason)).await;
        assert_eq!(ending(maker, &name).await, format!("{}:{reason}", code.number()));
    }
}

pub(crate) async fn what_was_sent_arrives_before_our_close(maker: &impl Maker) {
    let mut link = maker.link().await;
    for n in 0..20 {
        send(&mut link, &format!("before {n}")).await;
    }
    send(&mut link, "echo:name:last-words").await;
    close(&mut link, &CloseFrame::new(CloseCode::NORMAL, "")).await;
    assert_eq!(ending(maker, "last-words").await, "1000:");
}

pub(crate) async fn the_other_ends_close_arrives(maker: &impl Maker) {
    let mut link = maker.link().await;
    send(&mut link, "last words").await;
    send(&mut link, "echo:close:4002:too slow, é").await;
    assert_eq!(receive(&mut link).await.unwrap(), Received::Binary("last words".into()));
    let frame = CloseFrame::new(CloseCode::SLOW, "too slow, é");
    assert_eq!(receive(&mut link).await.unwrap(), Received::Closed(frame));
    is_over(&mut link).await;
    close(&mut link, &CloseFrame::new(CloseCode::NORMAL, "")).await;
    is_over(&mut link).await;
}

pub(crate) async fn after_our_close_nothing_is_received(maker: &impl Maker) {
    let mut link = maker.link().await;
    send(&mut link, "echo:flood:50").await;
    close(&mut link, &CloseFrame::new(CloseCode::NORMAL, "")).await;
    is_over(&mut link).await;
}

pub(crate) async fn closes_that_cross_end_both(maker: &impl Maker) {
    for _ in 0..5 {
        let mut link = maker.link().await;
        send(&mut link, "echo:close:4001:mine").await;
        close(&mut link, &CloseFrame::new(CloseCode::SLOW, "yours")).await;
        is_over(&mut link).await;
    }
}

pub(crate) async fn a_lost_link_is_reported(maker: &impl Maker) {
    let mut link = maker.link().await;
    send(&mut link, "last words").await;
    send(&mut link, "echo:drop").await;
    assert_eq!(receive(&mut link).await.unwrap(), Received::Binary("last words".into()));
    assert!(matches!(receive(&mut link).await, Err(LinkError::Lost(_))));
    is_over(&mut link).await;
    close(&mut link, &CloseFrame::new(CloseCode::NORMAL, "")).await;
}

pub(crate) async fn a_dropped_link_is_seen_by_the_other_end(maker: &impl Maker) {
    let mut link = maker.link().await;
    assert_eq!(exchange(&mut link, &["here".into()]).await, ["here"]);
    send(&mut link, "echo:name:dropped").await;
    drop(link);
    let ending = ending(maker, "dropped").await;
    // A browser sends a close without a code.
    assert!(["lost", "1005:"].contains(&ending.as_str()), "{ending}");
}

/// The other end stops reading: the link takes a bounded number of bytes, then it is not ready, and it still receives.
pub(crate) async fn a_reader_that_stops_makes_the_link_wait(maker: &impl Maker) {
    let mut link = maker.link().await;
    send(&mut link, "echo:stop:100").await;
    let message = Bytes::from(vec![7; 64 * 1024]);
    let mut taken = 0;
    while timeout(NEVER, poll_fn(|cx| poll_writable(&mut link, cx))).await.is_ok() {
        link.start_send(message.clone()).unwrap();
        taken += message.len();
        assert!(taken < BOUND, "the link takes everything");
    }
    let written = link.written();
    for _ in 0..100 {
        assert_eq!(receive(&mut link).await.unwrap(), Received::Binary("tick".into()));
    }
    let still = poll_fn(|cx| Poll::Ready(link.poll_ready(cx).is_pending())).await;
    assert!(still, "receiving made room for writing");
    assert_eq!(link.written(), written, "a link that waits takes nothing");
}

// ---------------------------------------------------------------------------------------------------------------

fn pattern((n, size): (usize, &usize)) -> Bytes {
    (0..*size).map(|at| (at * 31 + n) as u8).collect()
}

/// Ready when the next message may go. Also flushes, as a driver does between messages.
fn poll_writable(link: &mut BoxLink, cx: &mut std::task::Context<'_>) -> Poll<()> {
    if link.poll_flush(cx).map(Result::unwrap).is_pending() {
        return Poll::Pending;
    }
    link.poll_ready(cx).map(Result::unwrap)
}

pub(crate) async fn send(link: &mut BoxLink, message: &str) {
    poll_fn(|cx| link.poll_ready(cx)).await.unwrap();
    link.start_send(Bytes::copy_from_slice(message.as_bytes())).unwrap();
    poll_fn(|cx| link.poll_flush(cx)).await.unwrap();
}

pub(crate) async fn receive(link: &mut BoxLink) -> Result<Received, LinkError> {
    poll_fn(|cx| link.poll_receive(cx)).await
}

async fn close(link: &mut BoxLink, frame: &CloseFrame) {
    poll_fn(|cx| link.poll_close(cx, frame)).await;
}

/// Sends all and receives as many, both at the same time.
pub(crate) async fn exchange(link: &mut BoxLink, messages: &[Bytes]) -> Vec<Bytes> {
    let (mut sent, mut echoed) = (0, Vec::new());
    poll_fn(|cx| {
        loop {
            let mut moved = false;
            if sent < messages.len() && link.poll_ready(cx).map(Result::unwrap).is_ready() {
                link.start_send(messages[sent].clone()).unwrap();
                sent += 1;
                moved = true;
            } else {
                let _ = link.poll_flush(cx).map(Result::unwrap);
            }
            if let Poll::Ready(received) = link.poll_receive(cx) {
                let Received::Binary(message) = received.unwrap() else { panic!("not a binary message") };
                echoed.push(message);
                moved = true;
            }
            if echoed.len() == messages.len() {
                return Poll::Ready(());
            }
            if !moved {
                return Poll::Pending;
            }
        }
    })
    .await;
    echoed
}

/// How the link with this name ended, as the other end saw it.
pub(crate) async fn ending(maker: &impl Maker, name: &str) -> String {
    let mut link = maker.link().await;
    send(&mut link, &format!("echo:ending:{name}")).await;
    let Received::Binary(ending) = receive(&mut link).await.unwrap() else { panic!("not a binary message") };
    String::from_utf8(ending.to_vec()).unwrap()
}

async fn is_over(link: &mut BoxLink) {
    for _ in 0..2 {
        assert!(matches!(receive(link).await, Err(LinkError::Lost(_))));
        assert!(poll_fn(|cx| link.poll_ready(cx)).await.is_err());
        assert!(link.start_send(Bytes::new()).is_err());
    }
}
