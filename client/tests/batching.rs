//! What is asked at the same time leaves together: messages are counted at the server, as its links receive them.
#![allow(clippy::unwrap_used, missing_docs, reason = "tests")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use bowline::{
    CallFuture, Client, Server,
    transport::{CloseFrame, Link, LinkError, Received, memory},
};
use bytes::Bytes;

#[bowline::rpc]
trait Office {
    async fn echo(&self, text: String) -> String;

    /// Answers after other tasks had their turn.
    async fn ponder(&self, text: String) -> String;
}

struct Desk;

impl Office for Desk {
    async fn echo(&self, text: String) -> String {
        text
    }

    async fn ponder(&self, text: String) -> String {
        tokio::task::yield_now().await;
        text
    }
}

/// What came and went at the server.
#[derive(Clone, Default)]
struct Counts(Arc<[AtomicU64; 3]>);

impl Counts {
    fn add(&self, which: usize) {
        self.0[which].fetch_add(1, Ordering::SeqCst);
    }

    /// Messages received, messages sent, flushes; since the last time.
    fn take(&self) -> [u64; 3] {
        [0, 1, 2].map(|which| self.0[which].swap(0, Ordering::SeqCst))
    }
}

/// A link at the server that counts.
struct Counted(memory::MemoryLink, Counts);

impl Link for Counted {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.0.poll_ready(cx)
    }

    fn start_send(&mut self, message: Bytes) -> Result<(), LinkError> {
        self.1.add(1);
        self.0.start_send(message)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.1.add(2);
        self.0.poll_flush(cx)
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, LinkError>> {
        let received = self.0.poll_receive(cx);
        if let Poll::Ready(Ok(Received::Binary(_))) = received {
            self.1.add(0);
        }
        received
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, frame: &CloseFrame) -> Poll<()> {
        self.0.poll_close(cx, frame)
    }

    fn written(&self) -> u64 {
        self.0.written()
    }
}

async fn connected() -> (OfficeClient, Counts) {
    let server = Server::builder().service(OfficeServer::new(Desk)).build();
    let (mut listener, connector) = memory::network();
    let counts = Counts::default();
    let counting = counts.clone();
    tokio::spawn(async move {
        while let Some(link) = listener.accept().await {
            server.accept(Counted(link, counting.clone()));
        }
    });
    let client = Client::builder("memory").connector(connector).connect().await.unwrap();
    let office: OfficeClient = client.client();
    // What services are called is settled with the first call.
    office.echo(String::new()).await.unwrap();
    counts.take();
    (office, counts)
}

/// So many tasks that each ask `rounds` times, and wait for each answer.
async fn ask(
    tasks: usize,
    rounds: usize,
    call: impl Fn(String) -> CallFuture<String> + Clone + Send + 'static,
) {
    let asking = (0..tasks).map(|task| {
        let call = call.clone();
        tokio::spawn(async move {
            for round in 0..rounds {
                let text = format!("{task} {round}");
                assert_eq!(call(text.clone()).await.unwrap(), text);
            }
        })
    });
    for task in asking.collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

/// On a worker of its own, where a task that wakes another one hands over to it at once.
fn on_one_worker<T: Send + 'static>(test: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(runtime.spawn(test)).unwrap()
}

/// 64 tasks with 20 calls each.
const CALLS: u64 = 64 * 20;

#[test]
fn calls_of_many_tasks_leave_together() {
    on_one_worker(async {
        let (office, counts) = connected().await;
        ask(64, 20, move |text| office.echo(text)).await;
        let [received, sent, flushes] = counts.take();
        assert!(received * 10 <= CALLS, "{received} messages of the client");
        assert!(sent * 10 <= CALLS, "{sent} messages of the server");
        assert!(flushes <= sent, "{flushes}");
    });
}

#[test]
fn answers_of_handlers_that_waited_leave_together() {
    on_one_worker(async {
        let (office, counts) = connected().await;
        ask(64, 20, move |text| office.ponder(text)).await;
        let [received, sent, flushes] = counts.take();
        assert!(received * 10 <= CALLS, "{received} messages of the client");
        assert!(sent * 10 <= CALLS, "{sent} messages of the server");
        assert!(flushes <= sent, "{flushes}");
    });
}
