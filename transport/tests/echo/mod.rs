//! The other end of a link under test, made of the socket library alone: nothing of Bowline's runs here.
//!
//! Comes back with what it gets and takes orders, see [`Order`].

#![allow(dead_code, reason = "shared by tests and an example")]

mod order;

use std::collections::HashMap;
use std::future::pending;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};

pub(crate) use order::Order;

/// How named links ended, shared by all connections.
#[derive(Clone, Default)]
pub(crate) struct Endings(Arc<Mutex<HashMap<String, watch::Sender<Option<String>>>>>);

impl Endings {
    fn note(&self, name: &str, ending: String) {
        self.entry(name).send_replace(Some(ending));
    }

    async fn of(&self, name: &str) -> String {
        let mut ending = self.entry(name).subscribe();
        let ending = ending.wait_for(Option::is_some).await.unwrap();
        ending.clone().unwrap()
    }

    fn entry(&self, name: &str) -> watch::Sender<Option<String>> {
        self.0.lock().unwrap().entry(name.to_owned()).or_default().clone()
    }
}

/// Accepts connections for ever.
pub(crate) async fn serve(listener: TcpListener, endings: Endings) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let endings = endings.clone();
        tokio::spawn(async move {
            // A client that gives up in the middle of the upgrade is no trouble of ours.
            if let Ok(socket) = tokio_tungstenite::accept_hdr_async(stream, agree).await {
                echo(socket, endings).await;
            }
        });
    }
}

/// Agrees to the first subprotocol that the client offers.
#[expect(clippy::result_large_err, reason = "the library's callback has this form")]
pub(crate) fn agree(
    request: &Request,
    mut response: Response,
) -> Result<Response, tokio_tungstenite::tungstenite::handshake::server::ErrorResponse> {
    if let Some(offered) = request.headers().get("sec-websocket-protocol") {
        let first = offered.to_str().unwrap_or_default().split(',').next().unwrap_or_default().trim();
        response.headers_mut().insert("sec-websocket-protocol", first.parse().unwrap());
    }
    Ok(response)
}

pub(crate) async fn echo<S: AsyncRead + AsyncWrite + Unpin>(
    mut socket: WebSocketStream<S>,
    endings: Endings,
) {
    let mut name = None;
    let ending = run(&mut socket, &endings, &mut name).await;
    if let Some(name) = name {
        endings.note(&name, ending);
    }
}

/// Echoes until the link ends; says how.
async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
    endings: &Endings,
    name: &mut Option<String>,
) -> String {
    let mut ending = "lost".to_owned();
    while let Some(message) = socket.next().await {
        let order = match &message {
            Ok(Message::Binary(bytes)) => Order::parse(bytes),
            Ok(Message::Text(text)) => match text.strip_prefix("close:") {
                Some(close) => Order::parse_close(close),
                None => Order::parse(text.as_bytes()),
            },
            Ok(Message::Close(frame)) => {
                ending = match frame {
                    Some(frame) => format!("{}:{}", u16::from(frame.code), frame.reason),
                    None => "1005:".to_owned(),
                };
                continue; // until the library has sent its answer
            }
            Ok(_) => continue,
            Err(_) => break,
        };
        let sent = match order {
            None => socket.send(message.unwrap()).await,
            Some(Order::Text) => socket.send(Message::text("text")).await,
            Some(Order::Flood(ticks)) => flood(socket, ticks).await,
            Some(Order::Close(code, reason)) => {
                socket.close(Some(CloseFrame { code: code.into(), reason: reason.into() })).await
            }
            Some(Order::Drop) => return ending,
            Some(Order::Stop(ticks)) => {
                flood(socket, ticks).await.unwrap();
                pending().await
            }
            Some(Order::Name(given)) => {
                *name = Some(given);
                Ok(())
            }
            Some(Order::Ending(name)) => {
                let ending = endings.of(&name).await;
                socket.send(Message::binary(ending.into_bytes())).await
            }
        };
        // Sending after a close that came meanwhile: the close is read next.
        if let Err(error) = sent
            && !matches!(error, Error::Protocol(_) | Error::ConnectionClosed)
        {
            break;
        }
    }
    ending
}

async fn flood<S: AsyncRead + AsyncWrite + Unpin>(
    socket: &mut WebSocketStream<S>,
    ticks: usize,
) -> Result<(), Error> {
    for _ in 0..ticks {
        socket.feed(Message::binary(&b"tick"[..])).await?;
    }
    socket.flush().await
}
