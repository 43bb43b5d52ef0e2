//! tokio-tungstenite alone: what people write by hand. No correlation, no errors, no deadlines.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, accept_async, client_async};

use super::{Caller, Doing, Peer, same};
use crate::Result;

/// One flush for each message, as in every tutorial.
#[derive(Debug)]
pub(super) struct Naive;

/// Everything that is ready goes out with one flush.
#[derive(Debug)]
pub(super) struct Batched;

impl Peer for Naive {
    fn name(&self) -> &'static str {
        "tungstenite"
    }

    fn serve(&self) -> Doing<'static, SocketAddr> {
        Box::pin(serve(false))
    }

    fn connect(&self, server: SocketAddr) -> Doing<'static, Arc<dyn Caller>> {
        Box::pin(connect(server, false))
    }
}

impl Peer for Batched {
    fn name(&self) -> &'static str {
        "tungstenite, batched"
    }

    fn serve(&self) -> Doing<'static, SocketAddr> {
        Box::pin(serve(true))
    }

    fn connect(&self, server: SocketAddr) -> Doing<'static, Arc<dyn Caller>> {
        Box::pin(connect(server, true))
    }
}

async fn serve(batched: bool) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                stream.set_nodelay(true)?;
                echo(accept_async(MaybeTlsStream::Plain(stream)).await?, batched).await
            });
        }
    });
    Ok(address)
}

/// Answers each message with itself.
async fn echo(mut socket: Socket, batched: bool) -> Result<()> {
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_close() {
            break;
        }
        if !batched {
            socket.send(message).await?;
            continue;
        }
        socket.feed(message).await?;
        while let Some(message) = socket.next().now_or_never().flatten() {
            socket.feed(message?).await?;
        }
        socket.flush().await?;
    }
    Ok(())
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(server: SocketAddr, batched: bool) -> Result<Arc<dyn Caller>> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let (socket, _) = client_async(format!("ws://{server}/"), MaybeTlsStream::Plain(stream)).await?;
    Ok(Arc::new(Connected { socket: Mutex::new(socket), batched }))
}

struct Connected {
    socket: Mutex<Socket>,
    batched: bool,
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
                socket.flush().await?;
                let message = socket.next().await.ok_or("the server closed")??;
                same(&text, message.to_text()?)?;
                answered += 1;
                if self.batched {
                    while let Some(message) = socket.next().now_or_never().flatten() {
                        same(&text, message?.to_text()?)?;
                        answered += 1;
                    }
                }
            }
            Ok(())
        })
    }
}
