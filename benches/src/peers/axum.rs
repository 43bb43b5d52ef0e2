//! axum's WebSocket at the server; it has no client, so that of tokio-tungstenite calls it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::routing::get;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

use super::{Caller, Doing, Peer, picked, raw};

/// One flush for each message, as in axum's own example.
#[derive(Debug)]
pub(super) struct Axum;

impl Peer for Axum {
    fn name(&self) -> &'static str {
        "axum"
    }

    fn serve(&self) -> Doing<'static, SocketAddr> {
        Box::pin(async {
            let upgrade = |upgrade: WebSocketUpgrade| async { upgrade.on_upgrade(answer) };
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let address = listener.local_addr()?;
            let listener = listener.tap_io(|stream| {
                // Fails only for a stream that is gone already.
                let _ = stream.set_nodelay(true);
            });
            tokio::spawn(axum::serve(listener, Router::new().route("/", get(upgrade))).into_future());
            Ok(address)
        })
    }

    fn connect(&self, server: SocketAddr) -> Doing<'static, Arc<dyn Caller>> {
        Box::pin(async move { Ok(Arc::new(raw::Connected::naive(server).await?) as Arc<dyn Caller>) })
    }
}

/// Answers text with itself and samples with the picked one.
async fn answer(mut socket: WebSocket) {
    while let Some(Ok(message)) = socket.recv().await {
        let answer = match message {
            message @ Message::Text(_) => message,
            Message::Binary(bytes) => match picked(&bytes) {
                Ok(sample) => Message::Binary(sample.to_vec().into()),
                Err(_) => return,
            },
            _ => return,
        };
        if socket.send(answer).await.is_err() {
            return;
        }
    }
}
