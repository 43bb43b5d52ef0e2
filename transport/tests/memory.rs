//! Links in memory: the suite for all links, and the faults.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, reason = "helpers of tests count as tests")]

mod conformance;
#[path = "echo/order.rs"]
mod order;

use std::collections::HashMap;
use std::future::{pending, poll_fn};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bowline_protocol::status::CloseCode;
use bowline_runtime::{now, timeout};
use bowline_transport::memory::{Faults, MemoryLink, network, pair};
use bowline_transport::{BoxLink, CloseFrame, Connect, ConnectError, Link, LinkError, Received};
use bytes::Bytes;
use conformance::Maker;
use order::Order;
use tokio::sync::watch;

type Endings = Arc<Mutex<HashMap<String, watch::Sender<Option<String>>>>>;

#[derive(Default)]
struct Memory(Endings);

impl Maker for Memory {
    async fn link(&self) -> BoxLink {
        let (ours, theirs) = pair(&Faults::default());
        tokio::spawn(echo(theirs, self.0.clone()));
        Box::new(ours)
    }
}

/// The other end of a link: a memory link has no foreign implementation to be tested against.
async fn echo(mut link: MemoryLink, endings: Endings) {
    let entry = |name: &str| endings.lock().unwrap().entry(name.to_owned()).or_default().clone();
    let mut name = None;
    let ending = loop {
        match poll_fn(|cx| link.poll_receive(cx)).await {
            Ok(Received::Binary(message)) => match Order::parse(&message) {
                None => put(&mut link, message).await,
                Some(Order::Flood(ticks)) => flood(&mut link, ticks).await,
                Some(Order::Stop(ticks)) => {
                    flood(&mut link, ticks).await;
                    pending().await
                }
                Some(Order::Close(code, reason)) => {
                    let frame = CloseFrame::new(CloseCode::new(code), reason);
                    poll_fn(|cx| link.poll_close(cx, &frame)).await;
                }
                Some(Order::Drop) => break "lost".to_owned(),
                Some(Order::Name(given)) => name = Some(given),
                Some(Order::Ending(of)) => {
                    let ending = entry(&of).subscribe().wait_for(Option::is_some).await.unwrap().clone();
                    put(&mut link, ending.unwrap().into()).await;
                }
                Some(Order::Text) => unreachable!("no text in memory"),
            },
            Ok(Received::Closed(frame)) => break format!("{}:{}", frame.code.number(), frame.reason),
            Ok(Received::Text) | Err(_) => break "lost".to_owned(),
        }
    };
    if let Some(name) = name {
        entry(&name).send_replace(Some(ending));
    }
}

async fn put(link: &mut MemoryLink, message: Bytes) {
    // Fails when the other end has closed meanwhile.
    if poll_fn(|cx| link.poll_ready(cx)).await.is_ok() {
        let _ = link.start_send(message);
    }
}

async fn flood(link: &mut MemoryLink, ticks: usize) {
    for _ in 0..ticks {
        put(link, "tick".into()).await;
    }
}

macro_rules! conform {
    ($($check:ident)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $check() {
            conformance::$check(&Memory::default()).await;
        }
    )*};
}

conformance::checks!(conform);

async fn receive(link: &mut MemoryLink) -> Result<Received, LinkError> {
    poll_fn(|cx| link.poll_receive(cx)).await
}

/// How many of the messages that were sent can be read without the passing of time.
async fn readable(link: &mut MemoryLink) -> usize {
    let mut count = 0;
    while timeout(Duration::ZERO, receive(link)).await.is_ok_and(|received| received.is_ok()) {
        count += 1;
    }
    count
}

#[tokio::test(start_paused = true)]
async fn a_delay_moves_everything_and_keeps_the_order() {
    let faults = Faults::default();
    let (mut left, mut right) = pair(&faults);
    faults.delay(Duration::from_secs(3));
    let start = now();
    left.start_send("late".into()).unwrap();
    faults.delay(Duration::ZERO);
    left.start_send("behind it".into()).unwrap();
    assert_eq!(readable(&mut right).await, 0);
    assert_eq!(receive(&mut right).await.unwrap(), Received::Binary("late".into()));
    assert_eq!((now() - start).as_secs(), 3);
    assert_eq!(receive(&mut right).await.unwrap(), Received::Binary("behind it".into()));
    assert_eq!((now() - start).as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_cut_does_not_wait_for_a_delay() {
    let faults = Faults::default();
    let (mut left, mut right) = pair(&faults);
    faults.delay(Duration::from_secs(3600));
    left.start_send("late".into()).unwrap();
    let start = now();
    let (received, ()) = tokio::join!(receive(&mut right), async { faults.cut() });
    assert!(matches!(received, Err(LinkError::Lost(_))));
    assert_eq!(now(), start);
    assert!(poll_fn(|cx| left.poll_ready(cx)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn links_are_lost_after_so_many_messages_of_both_directions() {
    let faults = Faults::default();
    let (mut left, mut right) = pair(&faults);
    faults.drop_after(3);
    left.start_send("one".into()).unwrap();
    assert_eq!(receive(&mut right).await.unwrap(), Received::Binary("one".into()));
    right.start_send("two".into()).unwrap();
    assert_eq!(receive(&mut left).await.unwrap(), Received::Binary("two".into()));
    left.start_send("three is lost with the link".into()).unwrap();
    for link in [&mut left, &mut right] {
        assert!(matches!(receive(link).await, Err(LinkError::Lost(_))));
    }
    let (mut next, _other) = pair(&faults);
    next.start_send("counted anew".into()).unwrap();
    assert!(poll_fn(|cx| next.poll_ready(cx)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_stall_holds_everything_up_and_loses_nothing() {
    let faults = Faults::default();
    let (mut left, mut right) = pair(&faults);
    left.start_send("sent before".into()).unwrap();
    faults.stall();
    left.start_send("sent meanwhile".into()).unwrap();
    assert_eq!(readable(&mut right).await, 0);
    faults.resume();
    assert_eq!(readable(&mut right).await, 2);
}

#[tokio::test(start_paused = true)]
async fn a_half_open_link_swallows_and_tells_nobody() {
    let faults = Faults::default();
    let (mut left, mut right) = pair(&faults);
    faults.half_open();
    let message = Bytes::from(vec![0; 16 * 1024]);
    for _ in 0..4 {
        poll_fn(|cx| left.poll_ready(cx)).await.unwrap();
        left.start_send(message.clone()).unwrap();
    }
    let hour = Duration::from_secs(3600);
    assert!(timeout(hour, poll_fn(|cx| left.poll_ready(cx))).await.is_err(), "the buffers are full");
    let frame = CloseFrame::new(CloseCode::NORMAL, "");
    assert!(timeout(hour, poll_fn(|cx| left.poll_close(cx, &frame))).await.is_err());
    drop(left);
    assert!(timeout(hour, receive(&mut right)).await.is_err(), "nothing arrives, not even the end");
    faults.cut();
    assert!(matches!(receive(&mut right).await, Err(LinkError::Lost(_))));
}

#[tokio::test(start_paused = true)]
async fn an_unplugged_network_loses_links_and_refuses_new_ones() {
    let (mut listener, connector) = network();
    let mut link = connector.connect("").await.unwrap();
    let mut other = listener.accept().await.unwrap();
    assert_eq!(connector.faults().links(), 1);
    listener.faults().unplug();
    assert!(matches!(poll_fn(|cx| link.poll_receive(cx)).await, Err(LinkError::Lost(_))));
    assert!(matches!(receive(&mut other).await, Err(LinkError::Lost(_))));
    assert_eq!(connector.faults().links(), 0);
    assert!(matches!(connector.connect("").await, Err(ConnectError::Refused(_))));
    connector.faults().plug();
    assert!(connector.connect("").await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_listener_that_is_gone_or_full_refuses() {
    let (listener, connector) = network();
    let mut links = Vec::new();
    let refused = loop {
        match connector.clone().connect("").await {
            Ok(link) => links.push(link),
            Err(error) => break error,
        }
        assert!(links.len() < 2000, "no bound");
    };
    assert!(matches!(refused, ConnectError::Refused(_)));
    drop(listener);
    assert!(matches!(connector.connect("").await, Err(ConnectError::Refused(_))));
}
