#![allow(clippy::unwrap_used, reason = "a helper of tests that fails them")]

use std::sync::Arc;
use std::time::Duration;

use bowline::Delivery;
use bowline::prelude::*;
use futures_util::{future, stream};
use tokio::sync::mpsc;

use crate::connect;

#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    pub pixels: Vec<u32>,
    pub title: String,
}

#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
pub enum Refusal {
    Empty,
    TooLong { most: u64 },
}

#[bowline::rpc]
pub trait Studio {
    async fn ping(&self);
    async fn joined(&self, left: String, right: Vec<String>) -> String;
    async fn checked(&self, text: String) -> Result<u64, Refusal>;
    async fn described(&self, cx: &Context, name: String) -> Option<String>;
    fn countdown(&self, from: u32) -> impl Stream<Item = u32>;
    fn borrowed(&self, cx: &Context, prefix: String) -> impl Stream<Item = String>;
    async fn opened(&self, text: String) -> Result<impl Stream<Item = char>, Refusal>;
    fn failing(&self) -> impl Stream<Item = Result<u32, Refusal>>;
    fn shared(&self, cx: &Context) -> impl Stream<Item = Shared<String>>;
    async fn summed(&self, start: u64, numbers: Streaming<u64>) -> u64;
    fn doubled(&self, by: u64, numbers: Streaming<u64>) -> impl Stream<Item = u64>;
    async fn both(&self, by: u64, numbers: Streaming<u64>) -> Result<impl Stream<Item = u64>, Refusal>;
    #[rpc(watch)]
    fn newest(&self) -> impl Stream<Item = u64>;
    #[rpc(notify)]
    async fn noted(&self, text: String);
    #[rpc(deadline = "3s")]
    async fn late(&self);
    async fn brightest(&self, frame: View<Frame>, above: u32, titles: View<Vec<String>>) -> Option<String>;
    async fn through(&self, frame: View<Frame>, numbers: Streaming<u64>) -> u64;
    fn pixels(&self, frame: View<Frame>) -> impl Stream<Item = u32>;
}

pub struct Room {
    prefix: String,
    notes: mpsc::UnboundedSender<String>,
    topic: Topic<String>,
}

impl Room {
    fn new() -> (Self, mpsc::UnboundedReceiver<String>) {
        let (notes, noted) = mpsc::unbounded_channel();
        (Self { prefix: "room".into(), notes, topic: Topic::new() }, noted)
    }
}

impl Studio for Room {
    async fn ping(&self) {}

    async fn joined(&self, left: String, right: Vec<String>) -> String {
        format!("{left}-{}", right.join("-"))
    }

    async fn checked(&self, text: String) -> Result<u64, Refusal> {
        match text.len() as u64 {
            0 => Err(Refusal::Empty),
            1..10 => Ok(text.len() as u64),
            _ => Err(Refusal::TooLong { most: 9 }),
        }
    }

    async fn described(&self, cx: &Context, name: String) -> Option<String> {
        cx.metadata().get(&name).map(str::to_owned)
    }

    fn countdown(&self, from: u32) -> impl Stream<Item = u32> {
        stream::iter((0..=from).rev())
    }

    fn borrowed(&self, cx: &Context, prefix: String) -> impl Stream<Item = String> {
        let parts =
            [prefix.clone(), self.prefix.clone(), cx.metadata().get("name").unwrap_or("nobody").to_owned()];
        stream::iter(parts).then(async |part| {
            tokio::task::yield_now().await;
            format!("{part} in {}", self.prefix)
        })
    }

    async fn opened(&self, text: String) -> Result<impl Stream<Item = char>, Refusal> {
        self.checked(text.clone()).await?;
        Ok(stream::iter(text.chars().collect::<Vec<_>>()))
    }

    fn failing(&self) -> impl Stream<Item = Result<u32, Refusal>> {
        stream::iter([Ok(1), Ok(2), Err(Refusal::Empty), Ok(3)])
    }

    fn shared(&self, cx: &Context) -> impl Stream<Item = Shared<String>> {
        self.topic.subscribe(cx)
    }

    async fn summed(&self, start: u64, numbers: Streaming<u64>) -> u64 {
        numbers.fold(start, async |sum, number| sum + number.unwrap()).await
    }

    fn doubled(&self, by: u64, numbers: Streaming<u64>) -> impl Stream<Item = u64> {
        numbers.map(move |number| number.unwrap() * by)
    }

    async fn both(&self, by: u64, numbers: Streaming<u64>) -> Result<impl Stream<Item = u64>, Refusal> {
        if by == 0 { Err(Refusal::Empty) } else { Ok(self.doubled(by, numbers)) }
    }

    fn newest(&self) -> impl Stream<Item = u64> {
        stream::iter([1, 2, 3])
    }

    async fn noted(&self, text: String) {
        self.notes.send(text).unwrap();
    }

    async fn late(&self) {
        future::pending().await
    }

    async fn brightest(&self, frame: View<Frame>, above: u32, titles: View<Vec<String>>) -> Option<String> {
        let brightest = frame.pixels.iter().map(|pixel| pixel.to_native()).max()?;
        (brightest > above).then(|| format!("{}{}", frame.title, titles[0]))
    }

    async fn through(&self, frame: View<Frame>, numbers: Streaming<u64>) -> u64 {
        frame.pixels.len() as u64 + numbers.count().await as u64
    }

    fn pixels(&self, frame: View<Frame>) -> impl Stream<Item = u32> {
        let count = frame.pixels.len();
        stream::iter((0..count).map(move |at| frame.pixels[at].to_native()))
    }
}

fn studio() -> (bowline::Server, StudioClient) {
    connect(StudioServer::new(Room::new().0))
}

fn frame() -> Frame {
    Frame { pixels: vec![3, 9, 4], title: "sky".into() }
}

async fn items<T: bowline_protocol::codec::Payload, E: bowline_protocol::codec::Payload>(
    stream: Streaming<T, E>,
) -> Vec<T> {
    stream.map(|item| item.ok().expect("an item")).collect().await
}

#[tokio::test(start_paused = true)]
async fn arguments_arrive_in_their_places() {
    let (_server, studio) = studio();
    assert_eq!(studio.ping().await, Ok(()));
    let joined = studio.joined("a".into(), vec!["b".into(), "c".into()]).await;
    assert_eq!(joined, Ok("a-b-c".into()));
}

#[tokio::test(start_paused = true)]
async fn a_method_answers_with_its_own_error() {
    let (_server, studio) = studio();
    assert_eq!(studio.checked("four".into()).await, Ok(4));
    assert_eq!(studio.checked(String::new()).await, Err(CallError::Application(Refusal::Empty)));
    let too_long = studio.checked("0123456789".into()).await;
    assert_eq!(too_long, Err(CallError::Application(Refusal::TooLong { most: 9 })));
}

#[tokio::test(start_paused = true)]
async fn the_context_is_no_argument() {
    let (_server, studio) = studio();
    let described = studio.described("name".into()).metadata("name", "Ada").await;
    assert_eq!(described, Ok(Some("Ada".into())));
}

#[tokio::test(start_paused = true)]
async fn streams_give_their_items_and_may_borrow_service_and_context() {
    let (_server, studio) = studio();
    assert_eq!(items(studio.countdown(2).await.unwrap()).await, [2, 1, 0]);
    let borrowed = studio.borrowed("first".into()).metadata("name", "Ada").await.unwrap();
    assert_eq!(items(borrowed).await, ["first in room", "room in room", "Ada in room"]);
    assert_eq!(items(studio.newest().await.unwrap()).await.last(), Some(&3));
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_refused_or_ends_with_the_method_s_error() {
    let (_server, studio) = studio();
    assert_eq!(items(studio.opened("ab".into()).await.unwrap()).await, ['a', 'b']);
    assert_eq!(studio.opened(String::new()).await.err(), Some(CallError::Application(Refusal::Empty)));

    let mut failing = studio.failing().await.unwrap();
    assert_eq!(failing.next().await.unwrap().unwrap(), 1);
    assert_eq!(failing.next().await.unwrap().unwrap(), 2);
    let last = failing.next().await.unwrap();
    assert!(matches!(last, Err(StreamError::Failed(CallError::Application(Refusal::Empty)))), "{last:?}");
    assert!(failing.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_topic_s_items_are_the_reader_s_messages() {
    let (room, _) = Room::new();
    let topic = room.topic.clone();
    let (_server, studio): (_, StudioClient) = connect(StudioServer::new(room));
    let mut shared = studio.shared().await.unwrap();
    topic.publish("news".into());
    assert_eq!(shared.next().await.unwrap().unwrap(), "news");
}

#[tokio::test(start_paused = true)]
async fn uploads_reach_the_handler_and_end() {
    let (_server, studio) = studio();
    assert_eq!(studio.summed(1, stream::iter([2, 3])).await, Ok(6));
    assert_eq!(items(studio.doubled(2, stream::iter([2, 3])).await.unwrap()).await, [4, 6]);
    assert_eq!(items(studio.both(3, stream::iter([1])).await.unwrap()).await, [3]);
    assert_eq!(studio.both(0, stream::iter([1])).await.err(), Some(CallError::Application(Refusal::Empty)));
}

#[tokio::test(start_paused = true)]
async fn a_notify_runs_its_handler() {
    let (room, mut noted) = Room::new();
    let (_server, studio): (_, StudioClient) = connect(StudioServer::from_arc(Arc::new(room)));
    studio.ping().await.unwrap();
    studio.noted("typing".into()).await.unwrap();
    assert_eq!(noted.recv().await.as_deref(), Some("typing"));
}

#[tokio::test(start_paused = true)]
async fn a_method_s_deadline_holds_unless_the_caller_has_another() {
    let (_server, studio) = studio();
    studio.ping().await.unwrap();
    let started = tokio::time::Instant::now();
    let late = studio.late().await;
    assert_eq!(late, Err(CallError::DeadlineExceeded(Delivery::OutcomeUnknown)));
    assert_eq!(started.elapsed().as_secs(), 3);

    let late = studio.late().deadline(Duration::from_secs(1)).await;
    assert_eq!(late, Err(CallError::DeadlineExceeded(Delivery::OutcomeUnknown)));
    assert_eq!(started.elapsed().as_secs(), 4);
}

#[tokio::test(start_paused = true)]
async fn views_are_read_in_place_beside_owned_arguments() {
    let (_server, studio) = studio();
    let titles = vec!["!".to_owned()];
    assert_eq!(studio.brightest(frame(), 8, titles.clone()).await, Ok(Some("sky!".into())));
    assert_eq!(studio.brightest(frame(), 9, titles).await, Ok(None));
    assert_eq!(studio.through(frame(), stream::iter([1, 2])).await, Ok(5));
    assert_eq!(items(studio.pixels(frame()).await.unwrap()).await, [3, 9, 4]);
}
