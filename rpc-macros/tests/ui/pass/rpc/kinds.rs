//! Every kind of call, with and without a context, errors and refusals.

#![deny(warnings)]

use bowline::prelude::*;
use futures_util::stream;

#[bowline::message]
pub struct Stroke {
    pub x: i32,
    pub y: i32,
}

#[bowline::message]
#[derive(Debug)]
pub enum ChatError {
    NoSuchRoom,
}

#[bowline::rpc]
pub trait Chat {
    async fn ping(&self);

    #[rpc(deadline = "2s")]
    async fn post(&self, cx: &Context, room: String, text: String) -> Result<u64, ChatError>;

    fn ticks(&self) -> impl Stream<Item = u64>;

    #[rpc(lag = "drop_oldest")]
    async fn messages(&self, _: &Context, room: String) -> Result<impl Stream<Item = String>, ChatError>;

    fn lines(&self) -> impl Stream<Item = Result<String, ChatError>>;

    fn shared(&self) -> impl Stream<Item = Shared<String>>;

    #[rpc(watch)]
    fn members(&self, room: String) -> impl Stream<Item = Vec<String>>;

    async fn upload(&self, name: String, chunks: Streaming<Vec<u8>>) -> Result<u64, ChatError>;

    fn draw(&self, cx: &Context, strokes: Streaming<Stroke>) -> impl Stream<Item = Stroke>;

    async fn draw_in(&self, room: String, strokes: Streaming<Stroke>)
    -> Result<impl Stream<Item = Stroke>, ChatError>;

    #[rpc(notify)]
    async fn typing(&self, room: String);
}

struct Room;

impl Chat for Room {
    async fn ping(&self) {}

    async fn post(&self, _cx: &Context, room: String, text: String) -> Result<u64, ChatError> {
        if room.is_empty() { Err(ChatError::NoSuchRoom) } else { Ok(text.len() as u64) }
    }

    fn ticks(&self) -> impl Stream<Item = u64> {
        stream::iter(0..3)
    }

    async fn messages(&self, _: &Context, room: String) -> Result<impl Stream<Item = String>, ChatError> {
        Ok(stream::once(async move { room }))
    }

    fn lines(&self) -> impl Stream<Item = Result<String, ChatError>> {
        stream::once(async { Err(ChatError::NoSuchRoom) })
    }

    fn shared(&self) -> impl Stream<Item = Shared<String>> {
        stream::empty()
    }

    fn members(&self, room: String) -> impl Stream<Item = Vec<String>> {
        stream::once(async move { vec![room] })
    }

    async fn upload(&self, _name: String, chunks: Streaming<Vec<u8>>) -> Result<u64, ChatError> {
        Ok(chunks.count().await as u64)
    }

    fn draw(&self, _cx: &Context, strokes: Streaming<Stroke>) -> impl Stream<Item = Stroke> {
        strokes.filter_map(async |stroke| stroke.ok())
    }

    async fn draw_in(
        &self,
        _room: String,
        strokes: Streaming<Stroke>,
    ) -> Result<impl Stream<Item = Stroke>, ChatError> {
        Ok(strokes.filter_map(async |stroke| stroke.ok()))
    }

    async fn typing(&self, _room: String) {}
}

async fn calls(chat: ChatClient) -> Option<()> {
    let () = chat.ping().await.ok()?;
    let _id: u64 = chat.post("lobby".into(), "hello".into()).deadline(std::time::Duration::from_secs(1)).await.ok()?;
    let mut ticks: Streaming<u64> = chat.ticks().await.ok()?;
    let _tick: u64 = ticks.next().await?.ok()?;
    let mut messages: Streaming<String, ChatError> = chat.messages("lobby".into()).await.ok()?;
    let _message: String = messages.next().await?.ok()?;
    let _lines: Streaming<String, ChatError> = chat.lines().await.ok()?;
    let _shared: Streaming<String> = chat.shared().await.ok()?;
    let _members: Streaming<Vec<String>> = chat.members("lobby".into()).await.ok()?;
    let _size: u64 = chat.upload("a".into(), stream::iter([vec![1]])).await.ok()?;
    let _strokes: Streaming<Stroke> = chat.draw(stream::empty()).await.ok()?;
    let _strokes: Streaming<Stroke, ChatError> = chat.draw_in("lobby".into(), stream::empty()).await.ok()?;
    chat.typing("lobby".into()).await.ok()
}

fn is_send<T: Send + 'static>(_: T) {}

fn main() {
    fn all_are_send(chat: ChatClient) {
        is_send(chat.ping());
        is_send(chat.ticks());
        is_send(calls(chat));
    }
    let _ = all_are_send;
    let _ = ChatServer::new(Room);
    let _ = ChatServer::from_arc(std::sync::Arc::new(Room));
}
