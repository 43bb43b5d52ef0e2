//! The loop with real sessions at its ends.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests count as tests")]

use std::convert::Infallible;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bowline_protocol::limits::Limits;
use bowline_protocol::schema::{Lag, MethodDescriptor, MethodKind, Retry, ServiceDescriptor};
use bowline_protocol::session::Config;
use bowline_protocol::status::CloseCode;
use bowline_rpc::{CallFuture, Peer};
use bowline_runtime::now;
use bowline_transport::memory::{Faults, MemoryLink, pair};
use bowline_transport::{CloseFrame, Ended, EndedBy, Link, Received, drive};

static STORE: ServiceDescriptor = ServiceDescriptor {
    name: "Store",
    methods: &[MethodDescriptor {
        name: "put",
        kind: MethodKind::Unary,
        retry: Retry::Never,
        hash: 1,
        deadline: None,
        lag: Lag::Close,
    }],
};

/// On links that are fast from the start, so that they can be filled.
fn at_once() -> Config {
    Config { limits: Limits { slow_link: 0, ..Limits::default() }, ..Config::default() }
}

fn serving() -> Config {
    Config { services: vec![&STORE], ..Config::default() }
}

/// Answers hellos and leaves calls unanswered.
async fn welcome(peer: &Peer) -> Infallible {
    loop {
        poll_fn(|cx| peer.poll_hello(cx)).await;
        peer.welcome(bowline_protocol::session::Welcoming::new(1, [1; 32], 1));
    }
}

/// Serves one link until it ends.
async fn serve(link: MemoryLink) -> Ended {
    let peer = Peer::server(serving());
    let welcoming = pin!(welcome(&peer));
    drive(link, &peer, welcoming).await
}

/// Drives a client's end on `link` beside `test`, which gets the end as soon as the session is live.
async fn live<T>(link: MemoryLink, client: &Peer, test: impl AsyncFnOnce() -> T) -> (Ended, T) {
    let mut driving = pin!(drive(link, client, pending()));
    let mut testing = pin!(async {
        poll_fn(|cx| client.poll_live(cx)).await;
        test().await
    });
    let (mut ended, mut result) = (None, None);
    poll_fn(|cx| {
        if ended.is_none()
            && let Poll::Ready(end) = driving.as_mut().poll(cx)
        {
            ended = Some(end);
        }
        if result.is_none()
            && let Poll::Ready(value) = testing.as_mut().poll(cx)
        {
            result = Some(value);
        }
        if ended.is_some() && result.is_some() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    (ended.unwrap(), result.unwrap())
}

/// The close that ends what the other end has to say.
async fn closed(link: &mut MemoryLink) -> CloseFrame {
    loop {
        match poll_fn(|cx| link.poll_receive(cx)).await.unwrap() {
            Received::Closed(frame) => return frame,
            Received::Binary(_) => {}
            Received::Text => panic!("a text"),
        }
    }
}

/// Makes calls that nobody answers, larger together than the wire holds, once the wire takes nothing any more.
async fn block(client: &Peer, faults: &Faults) {
    let channel = client.channel();
    let call = |size| CallFuture::<()>::new(&channel, &STORE, 0, &vec![7_u8; size]);
    // The first one waits until both ends know what the service is.
    tokio::spawn(call(1).deadline(Duration::from_secs(300)));
    tokio::time::sleep(Duration::from_secs(3)).await;
    faults.stall();
    for _ in 0..4 {
        tokio::spawn(call(50_000).deadline(Duration::from_secs(300)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_clients_session_outlives_its_links() {
    let client = Peer::client(Config::default());
    for _ in 0..3 {
        let faults = Faults::default();
        let (ours, theirs) = pair(&faults);
        let server = tokio::spawn(serve(theirs));
        let (ended, ()) = live(ours, &client, async || {
            assert!(client.is_live());
            faults.cut();
        })
        .await;
        assert_eq!(ended, Ended { by: EndedBy::Lost, frame: None });
        assert_eq!(server.await.unwrap(), ended);
        assert!(!client.is_live());
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_closed_here_is_closed_there() {
    let client = Peer::client(Config::default());
    let (ours, theirs) = pair(&Faults::default());
    let server = tokio::spawn(serve(theirs));
    let (ended, ()) = live(ours, &client, async || client.close(CloseCode::NORMAL, "done")).await;
    let frame = Some(CloseFrame::new(CloseCode::NORMAL, "done"));
    assert_eq!(ended, Ended { by: EndedBy::Local, frame: frame.clone() });
    assert_eq!(server.await.unwrap(), Ended { by: EndedBy::Remote, frame });
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_no_envelopes_close_with_4501_and_the_writer_learns_it() {
    let (mut ours, theirs) = pair(&Faults::default());
    let server = tokio::spawn(serve(theirs));
    ours.start_send("GET / HTTP/1.1".into()).unwrap();
    let frame = closed(&mut ours).await;
    assert_eq!(frame.code, CloseCode::MALFORMED);
    assert_eq!(server.await.unwrap(), Ended { by: EndedBy::Local, frame: Some(frame) });
}

#[tokio::test(start_paused = true)]
async fn who_says_no_hello_is_closed_after_ten_seconds() {
    let start = now();
    let (mut ours, theirs) = pair(&Faults::default());
    let server = tokio::spawn(serve(theirs));
    let frame = closed(&mut ours).await;
    assert_eq!((now() - start).as_secs(), 10);
    assert_eq!(frame.code, CloseCode::NO_HELLO);
    assert_eq!(server.await.unwrap().by, EndedBy::Local);
}

#[tokio::test(start_paused = true)]
async fn a_link_that_takes_nothing_for_ten_seconds_is_closed_with_4002() {
    let client = Peer::client(at_once());
    let faults = Faults::default();
    let (ours, theirs) = pair(&faults);
    let server = tokio::spawn(serve(theirs));
    let (ended, start) = live(ours, &client, async || {
        block(&client, &faults).await;
        now()
    })
    .await;
    assert_eq!(ended.by, EndedBy::Local);
    assert_eq!(ended.frame.unwrap().code, CloseCode::SLOW);
    // 10 s without a byte, then 5 s for a close that can't be answered.
    assert_eq!((now() - start).as_secs(), 15);
    faults.cut();
    server.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_kept_while_the_link_takes_nothing() {
    let client = Peer::client(at_once());
    let faults = Faults::default();
    let (ours, theirs) = pair(&faults);
    tokio::spawn(serve(theirs));
    let channel = client.channel();
    let (_, ()) = live(ours, &client, async || {
        block(&client, &faults).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        let start = now();
        let late = CallFuture::<()>::new(&channel, &STORE, 0, &vec![7_u8; 10]);
        assert!(late.deadline(Duration::from_secs(2)).await.is_err());
        assert_eq!((now() - start).as_secs(), 2);
        faults.cut();
    })
    .await;
}
