//! Streams that go on where they were lost: items of every form, arguments of every name.

#![deny(warnings, missing_docs)]
#![no_implicit_prelude]

use ::bowline::prelude::{Shared, Stream, Streaming, View};
use ::std::option::Option;
use ::std::result::Result;
use ::std::string::String;

/// A message.
#[::bowline::message]
pub struct Message {
    /// Its number.
    pub id: u64,
    /// Where it stands, in words.
    pub r#type: String,
}

/// A number and a text.
#[::bowline::message]
pub struct Line(pub u64, pub String);

type Fallible<T> = Result<T, String>;

/// Streams.
#[::bowline::rpc]
pub trait Chat {
    /// A struct.
    #[rpc(resume = "after: id")]
    fn plain(&self, room: String, after: Option<u64>) -> impl Stream<Item = Message>;

    /// May refuse.
    #[rpc(resume = "after: id", lag = "drop_oldest")]
    async fn refusing(&self, after: Option<u64>) -> Result<impl Stream<Item = Message>, String>;

    /// Refuses under another name.
    #[rpc(resume = "after: id")]
    async fn aliased(&self, after: Option<u64>) -> Fallible<impl Stream<Item = Message>>;

    /// Ends with an error.
    #[rpc(resume = "after: id")]
    fn failing(&self, after: Option<u64>) -> impl Stream<Item = Result<Message, String>>;

    /// Encoded once.
    #[rpc(resume = "after: id")]
    fn shared(&self, after: Option<u64>) -> impl Stream<Item = Shared<Message>>;

    /// A field without a name.
    #[rpc(resume = "after: 0")]
    fn lines(&self, after: Option<u64>) -> impl Stream<Item = Line>;

    /// Names that need escaping, and a place that is no number.
    #[rpc(resume = "type: r#type")]
    fn raw(&self, r#type: ::std::option::Option<String>) -> impl Stream<Item = Message>;

    /// Beside an argument that is read in place.
    #[rpc(resume = "item: id")]
    fn viewed(&self, arguments: View<String>, item: Option<u64>) -> impl Stream<Item = Message>;
}

async fn calls(chat: ChatClient) -> Option<()> {
    let plain = chat.plain(::std::convert::From::from("lobby"), Option::None);
    let _items: Streaming<Message> = plain.no_resubscribe().await.ok()?;
    let _items: Streaming<Message, String> = chat.refusing(Option::Some(1)).await.ok()?;
    let _items: Streaming<View<Message>, String> = chat.failing(Option::None).view().await.ok()?;
    let _items: Streaming<Line> = chat.lines(Option::None).await.ok()?;
    Option::Some(())
}

fn is_send<T: ::std::marker::Send + 'static>(_: T) {}

fn main() {
    let _ = |chat: ChatClient| is_send(calls(chat));
}
