//! Methods that may be sent again.

#![deny(warnings)]

use bowline::prelude::*;

#[bowline::message]
#[derive(Debug)]
pub enum PostError {
    NoSuchRoom,
}

#[bowline::rpc]
pub trait Chat {
    /// Posts a message.
    #[rpc(once)]
    async fn post(&self, room: String, text: String) -> Result<u64, PostError>;

    #[rpc(idempotent, deadline = "2s")]
    async fn history(&self, cx: &Context, room: String) -> Vec<String>;

    #[rpc(idempotent)]
    #[rpc(deadline = "2s")]
    async fn size(&self, picture: View<Vec<u8>>) -> u64;
}

struct Room;

impl Chat for Room {
    async fn post(&self, room: String, text: String) -> Result<u64, PostError> {
        if room.is_empty() { Err(PostError::NoSuchRoom) } else { Ok(text.len() as u64) }
    }

    async fn history(&self, _cx: &Context, _room: String) -> Vec<String> {
        Vec::new()
    }

    async fn size(&self, picture: View<Vec<u8>>) -> u64 {
        picture.len() as u64
    }
}

fn main() {
    let _ = ChatServer::new(Room);
    let _ = ChatClient::post;
}
