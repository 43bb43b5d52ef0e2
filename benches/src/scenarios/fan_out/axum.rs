//! axum's WebSockets over tokio's broadcast channel, as in its chat example; the item is encoded once.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::routing::get;
use axum::serve::ListenerExt;
use futures_util::{SinkExt, StreamExt};
use tokio::sync::broadcast;
use tokio_tungstenite::connect_async_with_config;

use super::{Items, Publish, ROOM, Source, TEXT};
use crate::Result;
use crate::peers::Doing;

/// Either each item is sent by itself, or everything that waits in the channel goes before one flush.
#[derive(Debug)]
pub(super) struct Axum {
    pub(super) drained: bool,
}

/// One item as JSON.
#[derive(serde::Serialize, serde::Deserialize)]
struct Item {
    number: u64,
    text: String,
}

impl Source for Axum {
    fn name(&self) -> &'static str {
        if self.drained { "axum + broadcast, drained" } else { "axum + broadcast" }
    }

    fn serve(&self, _readers: usize) -> Doing<'static, (SocketAddr, Publish)> {
        let drained = self.drained;
        Box::pin(async move {
            let (publisher, _) = broadcast::channel::<Utf8Bytes>(ROOM);
            let news = publisher.clone();
            let app = Router::new().route(
                "/",
                get(async move |upgrade: WebSocketUpgrade| {
                    let items = news.subscribe();
                    upgrade.on_upgrade(async move |socket| {
                        // The reader sees what became of its items.
                        let _ = if drained { drain(socket, items).await } else { send(socket, items).await };
                    })
                }),
            );
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
            let address = listener.local_addr()?;
            let listener = listener.tap_io(|stream| {
                // Fails only for a stream that is gone already.
                let _ = stream.set_nodelay(true);
            });
            tokio::spawn(axum::serve(listener, app).into_future());
            let publish: Publish = Arc::new(move |number| {
                let item =
                    serde_json::to_string(&Item { number, text: TEXT.to_owned() }).expect("an item is JSON");
                // Without readers there is nothing to do.
                let _ = publisher.send(item.into());
            });
            Ok((address, publish))
        })
    }

    fn subscribe(&self, server: SocketAddr) -> Doing<'static, Items> {
        Box::pin(async move {
            let (socket, _) = connect_async_with_config(format!("ws://{server}/"), None, true).await?;
            let items = socket.map(|message| {
                let item: Item = serde_json::from_str(message?.to_text()?)?;
                Ok((item.number, item.text.len()))
            });
            Ok(Box::pin(items) as Items)
        })
    }
}

async fn send(mut socket: WebSocket, mut items: broadcast::Receiver<Utf8Bytes>) -> Result<()> {
    loop {
        let item = items.recv().await?;
        socket.send(Message::Text(item)).await?;
    }
}

async fn drain(mut socket: WebSocket, mut items: broadcast::Receiver<Utf8Bytes>) -> Result<()> {
    loop {
        let item = items.recv().await?;
        socket.feed(Message::Text(item)).await?;
        while let Ok(item) = items.try_recv() {
            socket.feed(Message::Text(item)).await?;
        }
        socket.flush().await?;
    }
}
