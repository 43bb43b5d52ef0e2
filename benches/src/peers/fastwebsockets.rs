//! fastwebsockets over hyper, as its examples have it.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;

use fastwebsockets::upgrade::{UpgradeFut, upgrade};
use fastwebsockets::{FragmentCollector, Frame, OpCode, Payload, WebSocketError, handshake};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, HOST, UPGRADE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use super::{Caller, Doing, PICKED, Peer, picked, same, sample_bytes};
use crate::Result;

/// One write for each message: the library has no other way.
#[derive(Debug)]
pub(super) struct Fastwebsockets;

impl Peer for Fastwebsockets {
    fn name(&self) -> &'static str {
        "fastwebsockets"
    }

    fn serve(&self) -> Doing<'static, SocketAddr> {
        Box::pin(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let address = listener.local_addr()?;
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(async move {
                        stream.set_nodelay(true)?;
                        let connection = http1::Builder::new()
                            .serve_connection(TokioIo::new(stream), service_fn(upgraded));
                        Result::<()>::Ok(connection.with_upgrades().await?)
                    });
                }
            });
            Ok(address)
        })
    }

    fn connect(&self, server: SocketAddr) -> Doing<'static, Arc<dyn Caller>> {
        Box::pin(async move {
            let stream = TcpStream::connect(server).await?;
            stream.set_nodelay(true)?;
            let request = Request::get(format!("http://{server}/"))
                .header(HOST, server.to_string())
                .header(UPGRADE, "websocket")
                .header(CONNECTION, "upgrade")
                .header("Sec-WebSocket-Key", handshake::generate_key())
                .header("Sec-WebSocket-Version", "13")
                .body(Empty::<Bytes>::new())?;
            let (socket, _) = handshake::client(&Spawn, request, stream).await?;
            Ok(Arc::new(Connected(Mutex::new(FragmentCollector::new(socket)))) as Arc<dyn Caller>)
        })
    }
}

async fn upgraded(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, WebSocketError> {
    let (response, socket) = upgrade(&mut request)?;
    // Without the budget of tokio's tasks, as in the library's own echo server.
    tokio::spawn(tokio::task::unconstrained(answer(socket)));
    Ok(response)
}

/// Answers text with itself and samples with the picked one.
async fn answer(socket: UpgradeFut) -> Result<()> {
    let mut socket = FragmentCollector::new(socket.await?);
    loop {
        let frame = socket.read_frame().await?;
        match frame.opcode {
            OpCode::Text => socket.write_frame(frame).await?,
            OpCode::Binary => {
                let sample = picked(&frame.payload)?;
                socket.write_frame(Frame::binary(Payload::Borrowed(&sample))).await?;
            }
            _ => return Ok(()),
        }
    }
}

struct Spawn;

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Spawn {
    fn execute(&self, future: F) {
        tokio::spawn(future);
    }
}

struct Connected(Mutex<FragmentCollector<TokioIo<Upgraded>>>);

impl Caller for Connected {
    fn calls(&self, text: Arc<str>, in_flight: usize, n: u64) -> Doing<'_, ()> {
        Box::pin(async move {
            let mut socket = self.0.lock().await;
            let (mut sent, mut answered) = (0, 0);
            while answered < n {
                while sent < n && sent - answered < in_flight as u64 {
                    let owned = Payload::Owned(text.as_bytes().to_vec());
                    socket.write_frame(Frame::text(owned)).await?;
                    sent += 1;
                }
                same(text.as_bytes(), &*socket.read_frame().await?.payload)?;
                answered += 1;
            }
            Ok(())
        })
    }

    fn uploads(&self, samples: Arc<[f32]>, n: u64) -> Doing<'_, ()> {
        Box::pin(async move {
            let bytes = sample_bytes(&samples);
            for _ in 0..n {
                // A small call may come between two of them.
                let mut socket = self.0.lock().await;
                socket.write_frame(Frame::binary(Payload::Owned(bytes.clone()))).await?;
                same(&samples[PICKED].to_le_bytes()[..], &*socket.read_frame().await?.payload)?;
            }
            Ok(())
        })
    }
}
