//! Whether a method returns a `Result` is asked of its type.

#![deny(warnings)]

use bowline::prelude::*;
use futures_util::stream;

#[bowline::message]
#[derive(Debug, PartialEq)]
pub struct ChatError;

pub type Fallible<T> = Result<T, ChatError>;
pub type Id = Fallible<u64>;

#[bowline::rpc]
pub trait Chat {
    async fn post(&self) -> Fallible<u64>;

    async fn edit(&self) -> Id;

    async fn messages(&self) -> Fallible<impl Stream<Item = u64>>;

    fn lines(&self) -> impl Stream<Item = Id>;
}

struct Room;

impl Chat for Room {
    async fn post(&self) -> Fallible<u64> {
        Err(ChatError)
    }

    async fn edit(&self) -> Id {
        Ok(1)
    }

    async fn messages(&self) -> Fallible<impl Stream<Item = u64>> {
        Ok(stream::iter([1]))
    }

    fn lines(&self) -> impl Stream<Item = Id> {
        stream::iter([Ok(1), Err(ChatError)])
    }
}

async fn calls(chat: ChatClient) {
    let _: Result<u64, CallError<ChatError>> = chat.post().await;
    let _: Result<u64, CallError<ChatError>> = chat.edit().await;
    let _: Result<Streaming<u64, ChatError>, CallError<ChatError>> = chat.messages().await;
    let _: Result<Streaming<u64, ChatError>, CallError<ChatError>> = chat.lines().await;
}

fn main() {
    let _ = calls;
    let _ = ChatServer::new(Room);
}
