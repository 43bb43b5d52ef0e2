//! tokio-tungstenite alone: what people write by hand. No correlation, no errors, no deadlines.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, accept_async_with_config, connect_async_with_config,
};

use super::{Caller, Doing, PICKED, Peer, picked, same, sample_bytes};
use crate::Result;

/// One flush for each message, as in every tutorial, with the library's defaults.
pub(super) const NAIVE: Raw = Raw { name: "tungstenite", batched: false, read_buffer: None };

/// The same with a small read buffer, which costs less to clear before each read.
pub(super) const SMALL_BUFFER: Raw =
    Raw { name: "tungstenite, 4 KiB buffer", batched: false, read_buffer: Some(4096) };

/// Everything that is ready goes out with one flush.
pub(super) const BATCHED: Raw = Raw { name: "tungstenite, batched", batched: true, read_buffer: None };

/// A way of using a socket by hand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raw {
    name: &'static str,
    batched: bool,
    read_buffer: Option<usize>,
}

impl Raw {
    fn config(self) -> WebSocketConfig {
        let config = WebSocketConfig::default();
        self.read_buffer.map_or(config, |size| config.read_buffer_size(size))
    }
}

impl Peer for Raw {
    fn name(&self) -> &'static str {
        self.name
    }

    fn serve(&self) -> Doing<'static, SocketAddr> {
        Box::pin(serve(*self))
    }

    fn connect(&self, server: SocketAddr) -> Doing<'static, Arc<dyn Caller>> {
        let raw = *self;
        Box::pin(async move {
            let caller: Arc<dyn Caller> = Arc::new(connect(server, raw).await?);
            Ok(caller)
        })
    }
}

async fn serve(raw: Raw) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                stream.set_nodelay(true)?;
                answer(accept_async_with_config(stream, Some(raw.config())).await?, raw.batched).await
            });
        }
    });
    Ok(address)
}

/// Answers text with itself, samples with the picked one, and eight bytes with so many items.
async fn answer<S: AsyncRead + AsyncWrite + Unpin>(
    mut socket: WebSocketStream<S>,
    batched: bool,
) -> Result<()> {
    while let Some(message) = socket.next().await {
        match message? {
            message @ Message::Text(_) if batched => {
                socket.feed(message).await?;
                while let Some(message) = socket.next().now_or_never().flatten() {
                    socket.feed(message?).await?;
                }
                socket.flush().await?;
            }
            message @ Message::Text(_) => socket.send(message).await?,
            Message::Binary(bytes) => match <[u8; 8]>::try_from(&*bytes) {
                Ok(n) => items(&mut socket, u64::from_le_bytes(n), batched).await?,
                Err(_) => socket.send(Message::binary(picked(&bytes)?.to_vec())).await?,
            },
            _ => break,
        }
    }
    Ok(())
}

async fn items<S>(socket: &mut WebSocketStream<S>, n: u64, batched: bool) -> Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    for number in 0..n {
        let message = Message::binary(number.to_le_bytes().to_vec());
        if batched { socket.feed(message).await? } else { socket.send(message).await? }
    }
    Ok(socket.flush().await?)
}

async fn connect(server: SocketAddr, raw: Raw) -> Result<Connected> {
    let url = format!("ws://{server}/");
    let (socket, _) = connect_async_with_config(url, Some(raw.config()), true).await?;
    Ok(Connected { socket: Mutex::new(socket), batched: raw.batched })
}

/// A client by hand, for whatever server.
pub(super) struct Connected {
    socket: Mutex<WebSocketStream<MaybeTlsStream<TcpStream>>>,
    batched: bool,
}

impl Connected {
    /// As in every tutorial.
    pub(super) async fn naive(server: SocketAddr) -> Result<Self> {
        connect(server, NAIVE).await
    }
}

impl Caller for Connected {
    fn calls(&self, text: Arc<str>, in_flight: usize, n: u64) -> Doing<'_, ()> {
        Box::pin(async move {
            let mut socket = self.socket.lock().await;
            let (mut sent, mut answered) = (0, 0);
            while answered < n {
                while sent < n && sent - answered < in_flight as u64 {
                    let message = Message::text(text.to_string());
                    if self.batched {
                        socket.feed(message).await?
                    } else {
                        socket.send(message).await?
                    }
                    sent += 1;
                }
                if self.batched {
                    socket.flush().await?;
                }
                let message = socket.next().await.ok_or("the server closed")??;
                same(&*text, message.to_text()?)?;
                answered += 1;
                if self.batched {
                    while let Some(message) = socket.next().now_or_never().flatten() {
                        same(&*text, message?.to_text()?)?;
                        answered += 1;
                    }
                }
            }
            Ok(())
        })
    }

    fn uploads(&self, samples: Arc<[f32]>, n: u64) -> Doing<'_, ()> {
        Box::pin(async move {
            let bytes = sample_bytes(&samples);
            for _ in 0..n {
                // A small call may come between two of them.
                let mut socket = self.socket.lock().await;
                socket.send(Message::binary(Bytes::copy_from_slice(&bytes))).await?;
                let message = socket.next().await.ok_or("the server closed")??;
                same(&samples[PICKED].to_le_bytes()[..], &*message.into_data())?;
            }
            Ok(())
        })
    }

    fn items(&self, n: u64) -> Doing<'_, ()> {
        Box::pin(async move {
            let mut socket = self.socket.lock().await;
            socket.send(Message::binary(n.to_le_bytes().to_vec())).await?;
            for number in 0..n {
                let message = socket.next().await.ok_or("the server closed")??;
                same(&number.to_le_bytes()[..], &*message.into_data())?;
            }
            Ok(())
        })
    }
}
