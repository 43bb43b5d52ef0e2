//! The messages of a room, read over networks that break and servers that are restarted.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bowline::transport::memory::{MemoryConnector, network};
use bowline::transport::{BoxLink, Connect, ConnectError};
use bowline::{Client, Server, State, prelude::*};
use chat::{ChatClient, ChatError, ChatRoom, ChatServer, Message};

/// A server that can be started again, with the same history, at the same address.
#[derive(Clone)]
struct Place {
    file: PathBuf,
    at: Arc<Mutex<Option<Running>>>,
}

struct Running {
    connector: MemoryConnector,
    accepting: tokio::task::JoinHandle<()>,
}

impl Place {
    async fn open(folder: &Path) -> Self {
        let place = Self { file: folder.join("chat.db"), at: Arc::default() };
        place.start().await;
        place
    }

    async fn start(&self) {
        let chat = ChatRoom::open(&self.file).await.unwrap();
        let server = Server::builder().service(ChatServer::new(chat)).build();
        let (mut listener, connector) = network();
        let accepting = tokio::spawn(async move {
            while let Some(link) = listener.accept().await {
                server.accept(link);
            }
        });
        *self.at.lock().unwrap() = Some(Running { connector, accepting });
    }

    /// As a process that is killed: nothing of it is left, nor of its links.
    fn kill(&self) {
        let running = self.at.lock().unwrap().take().unwrap();
        running.accepting.abort();
        running.connector.faults().unplug();
    }

    fn client(&self) -> Client {
        Client::builder("memory").connector(self.clone()).connect_lazy()
    }
}

type Connecting = Pin<Box<dyn Future<Output = Result<BoxLink, ConnectError>> + Send>>;

impl Connect for Place {
    fn connect(&self, endpoint: &str) -> Connecting {
        match &*self.at.lock().unwrap() {
            Some(running) => running.connector.connect(endpoint),
            None => {
                let nobody = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
                Box::pin(async move { Err(ConnectError::Refused(nobody)) })
            }
        }
    }
}

async fn say(client: &Client, texts: impl Iterator<Item = usize>) {
    let chat: ChatClient = client.client();
    for text in texts {
        chat.post("general".into(), "Ada".into(), text.to_string()).await.unwrap();
    }
}

async fn read(stream: &mut Streaming<Message, ChatError>, count: usize) -> Vec<usize> {
    let mut texts = Vec::new();
    while texts.len() < count {
        texts.push(stream.next().await.unwrap().unwrap().text.parse().unwrap());
    }
    texts
}

#[tokio::test]
async fn a_reader_begins_with_the_newest_messages_or_behind_the_one_it_names() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::open(folder.path()).await;
    let client = place.client();
    let chat: ChatClient = client.client();
    say(&client, 1..=450).await;
    let mut newest = chat.messages("general".into(), None).await.unwrap();
    let mut all = chat.messages("general".into(), Some(0)).await.unwrap();
    let mut behind = chat.messages("general".into(), Some(449)).await.unwrap();
    let mut elsewhere = chat.messages("help".into(), Some(0)).await.unwrap();
    say(&client, 451..=452).await;
    assert!(read(&mut newest, 52).await.into_iter().eq(401..=452));
    // Longer than what is read of the log at a time.
    assert!(read(&mut all, 452).await.into_iter().eq(1..=452));
    assert_eq!(read(&mut behind, 3).await, [450, 451, 452]);
    chat.post("help".into(), "Ada".into(), "7".into()).await.unwrap();
    assert_eq!(read(&mut elsewhere, 1).await, [7]);
    let refused = chat.messages("nowhere".into(), None).await.unwrap_err();
    assert_eq!(refused, CallError::Application(ChatError::NoSuchRoom));
}

#[tokio::test]
async fn messages_that_are_posted_while_the_log_is_read_come_once_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::open(folder.path()).await;
    let (client, writer) = (place.client(), place.client());
    say(&writer, 1..=250).await;
    let writing = tokio::spawn(async move { say(&writer, 251..=400).await });
    let chat: ChatClient = client.client();
    for _ in 0..20 {
        let mut all = chat.messages("general".into(), Some(0)).await.unwrap();
        assert!(read(&mut all, 400).await.into_iter().eq(1..=400));
        if writing.is_finished() {
            break;
        }
    }
    writing.await.unwrap();
}

#[tokio::test]
async fn nothing_is_missing_or_doubled_after_the_server_was_restarted() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::open(folder.path()).await;
    let client = place.client();
    let mut stream = client.client::<ChatClient>().messages("general".into(), None).await.unwrap();
    say(&client, 1..=3).await;
    assert_eq!(read(&mut stream, 3).await, [1, 2, 3]);

    place.kill();
    assert!(stream.stale_changed().await);
    place.start().await;
    let other = place.client();
    say(&other, 4..=300).await;
    client.reconnect();
    let mut states = client.states();
    while !matches!(states.next().await.unwrap(), State::Live(_)) {}
    say(&other, 301..=302).await;
    assert!(read(&mut stream, 299).await.into_iter().eq(4..=302));
}
