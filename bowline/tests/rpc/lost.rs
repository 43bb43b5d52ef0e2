//! What the attribute of a method says for the time when sessions are lost, as a generated client keeps it.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail them")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bowline::prelude::*;
use bowline::transport::memory::{Faults, network};
use bowline::{Client, Server};
use futures_util::stream;
use tokio::sync::watch;

#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub number: u64,
    pub text: String,
}

fn line(number: u64) -> Line {
    Line { number, text: format!("line {number}") }
}

#[bowline::rpc]
pub trait Journal {
    /// Every line behind `after`, or from now on.
    #[rpc(resume = "after: number")]
    fn lines(&self, after: Option<u64>) -> impl Stream<Item = Line>;

    /// The same, encoded once for all, in pages that can end with an error.
    #[rpc(resume = "after: number")]
    async fn shared(
        &self,
        book: String,
        after: Option<u64>,
    ) -> Result<impl Stream<Item = Shared<Line>>, String>;

    /// Every line from now on.
    fn fresh(&self) -> impl Stream<Item = Result<Line, String>>;
}

/// Lines from 0 on: how many there are, and where each call asked to go on.
struct Book {
    length: watch::Sender<u64>,
    asked: Mutex<Vec<Option<u64>>>,
}

impl Book {
    fn write(&self, count: u64) {
        self.length.send_modify(|length| *length += count);
    }

    fn behind(&self, after: Option<u64>) -> impl Stream<Item = Line> + Send + use<> {
        self.asked.lock().unwrap().push(after);
        let lengths = self.length.subscribe();
        let next = after.map_or_else(|| *lengths.borrow(), |after| after + 1);
        stream::unfold((lengths, next), |(mut lengths, next)| async move {
            lengths.wait_for(|length| *length > next).await.ok()?;
            Some((line(next), (lengths, next + 1)))
        })
    }
}

impl Journal for Book {
    fn lines(&self, after: Option<u64>) -> impl Stream<Item = Line> {
        self.behind(after)
    }

    async fn shared(
        &self,
        book: String,
        after: Option<u64>,
    ) -> Result<impl Stream<Item = Shared<Line>>, String> {
        if book == "mine" { Ok(self.behind(after).map(Shared::new)) } else { Err(book) }
    }

    fn fresh(&self) -> impl Stream<Item = Result<Line, String>> {
        self.behind(None).map(Ok)
    }
}

/// A client, and a server that can be replaced by another with the same book.
struct Place {
    book: Arc<Book>,
    journal: JournalClient,
    faults: Faults,
    server: Arc<Mutex<Server>>,
    _client: Client,
}

impl Place {
    fn new() -> Self {
        let book = Arc::new(Book { length: watch::Sender::new(0), asked: Mutex::default() });
        let (mut listener, connector) = network();
        let faults = connector.faults().clone();
        let server = Arc::new(Mutex::new(serve(&book)));
        let current = server.clone();
        tokio::spawn(async move {
            while let Some(link) = listener.accept().await {
                current.lock().unwrap().accept(link);
            }
        });
        let client = Client::builder("memory").connector(connector).connect_lazy();
        Self { book, journal: client.client(), faults, server, _client: client }
    }

    /// No session outlives this.
    fn restart(&self) {
        *self.server.lock().unwrap() = serve(&self.book);
        self.faults.cut();
    }

    fn asked(&self) -> Vec<Option<u64>> {
        self.book.asked.lock().unwrap().clone()
    }
}

fn serve(book: &Arc<Book>) -> Server {
    Server::builder().service(JournalServer::from_arc(book.clone())).build()
}

/// Reads `lines` while the book is written and the server restarted; gives what was read.
async fn read_through_restarts<E>(place: &Place, mut lines: Streaming<Line, E>) -> Vec<Line>
where
    E: std::fmt::Debug + Send + 'static,
{
    const TOTAL: u64 = 600;
    let reading = tokio::spawn(async move {
        let mut seen = Vec::new();
        while seen.len() < TOTAL as usize {
            seen.push(lines.next().await.unwrap().unwrap());
        }
        seen
    });
    for written in 1..=TOTAL {
        place.book.write(1);
        tokio::time::sleep(Duration::from_millis(20)).await;
        if written % 100 == 50 {
            place.restart();
        }
    }
    reading.await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_resumes_gives_every_item_once_over_several_sessions() {
    let expected: Vec<_> = (0..600).map(line).collect();

    let place = Place::new();
    let lines = place.journal.lines(None).await.unwrap();
    assert_eq!(read_through_restarts(&place, lines).await, expected);
    let asked = place.asked();
    assert!(asked.len() >= 3 && asked.is_sorted(), "{asked:?}");

    let place = Place::new();
    let lines = place.journal.shared("mine".into(), None).await.unwrap();
    assert_eq!(read_through_restarts(&place, lines).await, expected);
    let asked = place.asked();
    assert!(asked.len() >= 3 && asked.is_sorted(), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_does_not_resume_says_that_items_may_be_missing() {
    let place = Place::new();
    let mut fresh = place.journal.fresh().await.unwrap();
    place.book.write(1);
    assert_eq!(fresh.next().await, Some(Ok(line(0))));
    place.restart();
    place.book.write(1);
    assert_eq!(fresh.next().await, Some(Err(StreamError::Gap { missed: None })));
    place.book.write(1);
    assert_eq!(fresh.next().await, Some(Ok(line(2))));
}
