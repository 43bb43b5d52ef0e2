//! A chat: rooms, members, messages as they come, and a history that survives a restart.

use bowline::prelude::*;

#[cfg(any(target_arch = "wasm32", test))]
mod draft;
#[cfg(not(target_arch = "wasm32"))]
mod log;
#[cfg(target_arch = "wasm32")]
pub mod page;
#[cfg(not(target_arch = "wasm32"))]
mod room;
#[cfg(not(target_arch = "wasm32"))]
mod store;

#[cfg(not(target_arch = "wasm32"))]
pub use room::ChatRoom;
#[cfg(not(target_arch = "wasm32"))]
pub use store::OpenError;

/// The longest text of a message, in characters.
pub const TEXT_LIMIT: u32 = 500;

/// What is sent of `text`, which somebody typed. The page asks before it sends, and the server asks again.
///
/// # Errors
///
/// [`PostError::Empty`] and [`PostError::TooLong`].
pub fn checked(text: &str) -> Result<&str, PostError> {
    let text = text.trim();
    match text.chars().count() {
        0 => Err(PostError::Empty),
        length if length > TEXT_LIMIT as usize => Err(PostError::TooLong(TEXT_LIMIT)),
        _ => Ok(text),
    }
}

/// One message.
#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Counts up over all rooms.
    pub id: u64,
    /// Who wrote it.
    pub author: String,
    /// What they wrote.
    pub text: String,
    /// When, in milliseconds since 1970.
    pub at: i64,
}

/// Why a message was not taken.
#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
pub enum PostError {
    /// There was nothing but white space.
    Empty,
    /// It was too long: at most so many characters fit.
    TooLong(u32),
    /// There is no such room.
    NoSuchRoom,
    /// The history could not be written; the message was not sent.
    NotStored,
}

impl std::fmt::Display for PostError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Empty => f.write_str("Write something first."),
            Self::TooLong(limit) => write!(f, "That is too long: at most {limit} characters fit."),
            Self::NoSuchRoom => f.write_str("This room does not exist."),
            Self::NotStored => f.write_str("The message could not be stored. Try again."),
        }
    }
}

impl std::error::Error for PostError {}

/// Why a room could not be read.
#[bowline::message]
#[derive(Debug, Clone, PartialEq)]
pub enum ChatError {
    /// There is no such room.
    NoSuchRoom,
    /// The history could not be read.
    NotReadable,
}

impl std::fmt::Display for ChatError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NoSuchRoom => "This room does not exist.",
            Self::NotReadable => "The history could not be read. Try again.",
        })
    }
}

impl std::error::Error for ChatError {}

/// What a chat can do.
#[bowline::rpc]
pub trait Chat {
    /// The rooms there are.
    #[rpc(idempotent)]
    async fn rooms(&self) -> Vec<String>;

    /// Posts a message and returns its id. Runs once, even when the network makes the page ask twice.
    #[rpc(once)]
    async fn post(&self, room: String, author: String, text: String) -> Result<u64, PostError>;

    /// At most 50 messages before `before`, newest first.
    #[rpc(idempotent)]
    async fn history(&self, room: String, before: Option<u64>) -> Result<Vec<Message>, ChatError>;

    /// Every message behind `after`, in order, each once: first those that are stored, then as they come. Without `after`
    /// the newest 50 that are stored are the first. Whoever was away goes on behind the last one that they read, also at
    /// a server that was restarted.
    #[rpc(resume = "after: id")]
    async fn messages(
        &self,
        cx: &Context,
        room: String,
        after: Option<u64>,
    ) -> Result<impl Stream<Item = Shared<Message>>, ChatError>;

    /// Who is in the room. Whoever watches under a name is in it too, for as long as they watch.
    #[rpc(watch)]
    fn members(&self, room: String, name: String) -> impl Stream<Item = Vec<String>>;

    /// Says that `name` is writing.
    #[rpc(notify)]
    async fn typing(&self, room: String, name: String);

    /// Who is writing just now.
    #[rpc(watch)]
    fn writers(&self, room: String) -> impl Stream<Item = Vec<String>>;
}
