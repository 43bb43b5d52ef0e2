//! What one item of a topic takes of each session that it goes to, in steps that can be counted.

use std::future::{pending, poll_fn};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as Task, Poll};
use std::time::Duration;

use bowline::prelude::*;
use bowline_protocol::session::{Arriving, Config};
use bowline_rpc::{Peer, ServiceClient};
use bowline_runtime::Lines;
use bowline_server::Server;
use bowline_transport::memory::{Faults, MemoryLink, pair};
use bowline_transport::{CloseFrame, Link, LinkError, Received, drive};
use bytes::Bytes;

#[bowline::rpc]
trait News {
    /// Every item from now on.
    fn items(&self, cx: &Context) -> impl Stream<Item = Shared<String>>;
}

struct Publisher(Topic<String>);

impl News for Publisher {
    fn items(&self, cx: &Context) -> impl Stream<Item = Shared<String>> {
        self.0.subscribe(cx)
    }
}

/// What all sessions together did with their links.
#[derive(Debug, Default)]
struct Steps {
    turns: AtomicUsize,
    receives: AtomicUsize,
    sends: AtomicUsize,
    flushes: AtomicUsize,
}

impl Steps {
    fn take(&self) -> [usize; 4] {
        [&self.turns, &self.receives, &self.sends, &self.flushes].map(|steps| steps.swap(0, Ordering::SeqCst))
    }
}

/// A session's link. It is asked for what has arrived once in each turn.
struct Counted {
    link: MemoryLink,
    steps: Arc<Steps>,
}

fn count(steps: &AtomicUsize) {
    steps.fetch_add(1, Ordering::SeqCst);
}

impl Link for Counted {
    fn poll_ready(&mut self, cx: &mut Task<'_>) -> Poll<Result<(), LinkError>> {
        self.link.poll_ready(cx)
    }

    fn start_send(&mut self, message: Bytes) -> Result<(), LinkError> {
        count(&self.steps.sends);
        self.link.start_send(message)
    }

    fn poll_flush(&mut self, cx: &mut Task<'_>) -> Poll<Result<(), LinkError>> {
        count(&self.steps.flushes);
        self.link.poll_flush(cx)
    }

    fn poll_receive(&mut self, cx: &mut Task<'_>) -> Poll<Result<Received, LinkError>> {
        count(&self.steps.receives);
        self.link.poll_receive(cx)
    }

    fn poll_close(&mut self, cx: &mut Task<'_>, frame: &CloseFrame) -> Poll<()> {
        self.link.poll_close(cx, frame)
    }

    fn written(&self) -> u64 {
        self.link.written()
    }

    fn lines(&self) -> Lines {
        count(&self.steps.turns);
        self.link.lines()
    }

    fn arriving(&self) -> Arriving {
        self.link.arriving()
    }
}

/// Nobody waits for the other end in it, and no timer of a session is due after so short a time.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn an_item_takes_one_turn_of_each_session_which_sends_once_and_looks_for_nothing() {
    const READERS: usize = 3;
    let (topic, steps) = (Topic::new(), Arc::<Steps>::default());
    let server = Server::builder().service(NewsServer::new(Publisher(topic.clone()))).build();
    let mut readers = Vec::new();
    for _ in 0..READERS {
        let (near, link) = pair(&Faults::default());
        server.accept(Counted { link, steps: steps.clone() });
        let client = Peer::client(Config::default());
        let driven = client.clone();
        tokio::spawn(async move { drive(near, &driven, pending()).await });
        poll_fn(|cx| client.poll_live(cx)).await;
        readers.push(NewsClient::from_channel(client.channel()).items().await.unwrap());
    }
    for number in 0..10 {
        settle().await;
        steps.take();
        topic.publish(number.to_string());
        for reader in &mut readers {
            assert_eq!(reader.next().await.unwrap().unwrap(), number.to_string());
        }
        settle().await;
        let [turns, receives, sends, flushes] = steps.take();
        assert_eq!((turns, sends, flushes), (READERS, READERS, READERS), "item {number}");
        assert_eq!(receives, 0, "item {number}: nobody said that something had come");
    }
}
