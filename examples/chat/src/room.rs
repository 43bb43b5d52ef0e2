//! The service: rooms in memory, history in the store.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bowline::prelude::*;
use tokio::sync::{Mutex, watch};
use tokio_stream::wrappers::WatchStream;

use crate::log::Log;
use crate::store::{OpenError, Store};
use crate::{Chat, ChatError, Message, PostError, checked};

const ROOMS: [&str; 3] = ["general", "random", "help"];

/// How long somebody counts as writing after their last key.
const WRITING: Duration = Duration::from_secs(3);

/// A name longer than this is cut, in characters.
const NAME_LIMIT: usize = 40;

/// All rooms of one chat.
#[derive(Debug)]
pub struct ChatRoom {
    store: Store,
    rooms: BTreeMap<&'static str, Room>,
}

#[derive(Debug)]
struct Room {
    messages: Topic<Message>,
    /// Held from the insert to the publish, so that readers see ids in order.
    posting: Mutex<()>,
    members: Names,
    writers: Names,
}

impl ChatRoom {
    /// Opens the chat whose history lies in `file`; a missing file is made.
    ///
    /// # Errors
    ///
    /// [`OpenError`] when the file can't be read or written.
    pub async fn open(file: impl AsRef<Path>) -> Result<Self, OpenError> {
        let room = || Room {
            messages: Topic::new(),
            posting: Mutex::default(),
            members: Names::default(),
            writers: Names::default(),
        };
        let rooms = ROOMS.into_iter().map(|name| (name, room())).collect();
        Ok(Self { store: Store::open(file.as_ref()).await?, rooms })
    }

    fn room(&self, name: &str) -> Option<&Room> {
        self.rooms.get(name)
    }
}

impl Chat for ChatRoom {
    async fn rooms(&self) -> Vec<String> {
        ROOMS.into_iter().map(str::to_owned).collect()
    }

    async fn post(&self, room: String, author: String, text: String) -> Result<u64, PostError> {
        let text = checked(&text)?.to_owned();
        let here = self.room(&room).ok_or(PostError::NoSuchRoom)?;
        let author = cut(&author);
        let _turn = here.posting.lock().await;
        let message = self.store.add(&room, author, text).await.map_err(|error| {
            eprintln!("chat: a message was not stored: {error}");
            PostError::NotStored
        })?;
        let id = message.id;
        here.messages.publish(message);
        Ok(id)
    }

    async fn history(&self, room: String, before: Option<u64>) -> Result<Vec<Message>, ChatError> {
        self.room(&room).ok_or(ChatError::NoSuchRoom)?;
        self.store.page(&room, before).await.map_err(not_readable)
    }

    async fn messages(
        &self,
        cx: &Context,
        room: String,
        after: Option<u64>,
    ) -> Result<impl Stream<Item = Shared<Message>>, ChatError> {
        let here = self.room(&room).ok_or(ChatError::NoSuchRoom)?;
        // Before the log is read: what is posted meanwhile comes twice, which can be seen, and not never.
        let live = here.messages.subscribe(cx);
        let log = Log::open(self.store.clone(), room, after, live).await.map_err(not_readable)?;
        Ok(log.into_stream())
    }

    fn members(&self, room: String, name: String) -> impl Stream<Item = Vec<String>> {
        let names = self.room(&room).map(|room| room.members.clone()).unwrap_or_default();
        let present = names.enter(&cut(&name));
        names.watch().map(move |names| {
            let _while_watched = &present;
            names
        })
    }

    async fn typing(&self, room: String, name: String) {
        let Some(room) = self.room(&room) else { return };
        let _writing = room.writers.enter(&cut(&name));
        tokio::time::sleep(WRITING).await;
    }

    fn writers(&self, room: String) -> impl Stream<Item = Vec<String>> {
        self.room(&room).map(|room| room.writers.clone()).unwrap_or_default().watch()
    }
}

fn not_readable(error: sqlx::Error) -> ChatError {
    eprintln!("chat: the history was not read: {error}");
    ChatError::NotReadable
}

fn cut(name: &str) -> String {
    name.trim().chars().take(NAME_LIMIT).collect()
}

/// Names that are present, each as often as it entered.
#[derive(Debug, Clone, Default)]
struct Names(Arc<watch::Sender<BTreeMap<String, usize>>>);

/// Somebody's presence; dropping it is leaving.
#[derive(Debug)]
struct Present {
    names: Names,
    name: String,
}

impl Names {
    fn enter(&self, name: &str) -> Present {
        self.0.send_modify(|names| *names.entry(name.to_owned()).or_default() += 1);
        Present { names: self.clone(), name: name.to_owned() }
    }

    fn watch(&self) -> impl Stream<Item = Vec<String>> + use<> {
        WatchStream::new(self.0.subscribe()).map(|names| names.into_keys().collect())
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.names.0.send_modify(|names| {
            if let Some(count) = names.get_mut(&self.name) {
                *count -= 1;
                if *count == 0 {
                    names.remove(&self.name);
                }
            }
        });
    }
}
