//! A client written by hand: envelopes over a socket, with nothing of Bowline's own client in it.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

use std::collections::VecDeque;
use std::net::SocketAddr;

use bowline_protocol::codec::Codec;
use bowline_protocol::envelope::{
    CallOpen, CallRef, Control, Declaration, Decoder, Encoder, Envelope, Hello, Opener, Payload, Secret,
    Sequenced, Welcome, WireError, WireLimits,
};
use bowline_protocol::schema::ServiceDescriptor;
use bowline_protocol::status::Code;
use bowline_server::Server;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

/// What the client accepts: the defaults of a real one.
pub const LIMITS: WireLimits = WireLimits {
    calls: 256,
    streams: 256,
    stream_window: 64 * 1024,
    message: 1024 * 1024,
    payload: 16 * 1024 * 1024,
    assembly: 16 * 1024 * 1024,
    replay: 1024 * 1024,
};

/// Mounts a server as a route of Axum on a free port.
pub async fn start(server: &Server) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = axum::Router::new().route("/ws", server.handler());
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// The request of an upgrade, as a Bowline client sends it.
pub fn request(address: impl std::fmt::Display) -> Request {
    let mut request = format!("ws://{address}/ws").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "bowline.v1".parse().unwrap());
    request
}

pub mod pipes;
pub mod probe;
pub mod wire;

pub struct Socket<S = TcpStream> {
    socket: WebSocketStream<S>,
    inbox: VecDeque<Envelope>,
    seq: u64,
    id: u32,
}

impl Socket {
    /// Connects and upgrades; says nothing.
    pub async fn upgrade(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap()).await
    }

    /// Connects, and says hello with these services.
    pub async fn connect(address: SocketAddr, services: &[&ServiceDescriptor]) -> Self {
        let mut socket = Self::upgrade(address).await;
        socket.greet(services).await;
        socket
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// Upgrades over this stream.
    pub async fn over(stream: S) -> Self {
        Self::with(stream, request("localhost")).await
    }

    /// Upgrades with this request.
    pub async fn with(stream: S, request: Request) -> Self {
        let (socket, _) = client_async(request, stream).await.unwrap();
        Self { socket, inbox: VecDeque::new(), seq: 0, id: 0 }
    }

    /// Says hello and reads the welcome and the answers to the declarations.
    pub async fn greet(&mut self, services: &[&ServiceDescriptor]) -> Welcome {
        self.send(&[Envelope::Control(Control::Hello(Box::new(hello(services))))]).await;
        let welcome = loop {
            if let Envelope::Control(Control::Welcome(welcome)) = self.next().await {
                break *welcome;
            }
        };
        let mut answers = services.len();
        while answers > 0 {
            if let Envelope::Sequenced(_, Sequenced::Declared { .. }) = self.next().await {
                answers -= 1;
            }
        }
        welcome
    }

    /// Sends envelopes as one message.
    pub async fn send(&mut self, envelopes: &[Envelope]) {
        let mut message = Vec::new();
        let mut encoder = Encoder::new(&mut message);
        for envelope in envelopes {
            encoder.push(envelope);
        }
        self.send_bytes(message).await;
    }

    pub async fn send_bytes(&mut self, message: impl Into<Bytes>) {
        self.socket.send(Message::Binary(message.into())).await.unwrap();
    }

    pub async fn send_text(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// Gives the envelope the next sequence number.
    pub fn number(&mut self, sequenced: Sequenced) -> Envelope {
        self.seq += 1;
        Envelope::Sequenced(self.seq, sequenced)
    }

    pub async fn send_numbered(&mut self, sequenced: Sequenced) {
        let envelope = self.number(sequenced);
        self.send(&[envelope]).await;
    }

    /// The next envelope, whatever it is.
    pub async fn next(&mut self) -> Envelope {
        self.poll().await.unwrap_or_else(|(code, reason)| panic!("closed with {code}: {reason}"))
    }

    /// The next envelope, or how the link was closed.
    pub async fn poll(&mut self) -> Result<Envelope, (u16, String)> {
        loop {
            if let Some(envelope) = self.inbox.pop_front() {
                return Ok(envelope);
            }
            match self.socket.next().await {
                Some(Ok(Message::Binary(message))) => {
                    self.inbox.extend(Decoder::new(message).map(|envelope| envelope.unwrap()));
                }
                Some(Ok(Message::Close(Some(frame)))) => {
                    return Err((frame.code.into(), frame.reason.to_string()));
                }
                Some(Ok(Message::Close(None))) | None | Some(Err(Error::ConnectionClosed)) => {
                    return Err((1006, "no close".into()));
                }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err((1006, error.to_string())),
            }
        }
    }

    /// Reads until the link is closed.
    pub async fn closed(&mut self) -> (u16, String) {
        loop {
            if let Err(closed) = self.poll().await {
                return closed;
            }
        }
    }

    /// Opens a call of service 0 with arguments in JSON.
    pub async fn open(&mut self, method: u32, arguments: &str) -> CallRef {
        self.open_as(0, method, Codec::Json, arguments.as_bytes().to_vec()).await
    }

    pub async fn open_as(&mut self, service: u32, method: u32, codec: Codec, arguments: Vec<u8>) -> CallRef {
        let open = self.call_open(service, method, codec, Payload::Whole(arguments.into()));
        let call = CallRef { id: open.id, opener: Opener::Writer };
        self.send_numbered(Sequenced::Call(open)).await;
        call
    }

    /// An envelope that opens a call under a new id.
    pub fn call_open(&mut self, service: u32, method: u32, codec: Codec, payload: Payload) -> CallOpen {
        let id = self.id;
        self.id += 1;
        let metadata = Vec::new();
        CallOpen {
            id,
            service,
            method,
            codec,
            time_left_ms: Some(10_000),
            depth: 0,
            once: None,
            metadata,
            payload,
        }
    }

    /// Reads until the call ends.
    pub async fn ended(&mut self, call: CallRef) -> Result<Bytes, Failed> {
        loop {
            match self.next().await {
                Envelope::Sequenced(
                    _,
                    Sequenced::Response { call: of, payload: Payload::Whole(bytes), .. },
                ) if of.id == call.id => {
                    return Ok(bytes);
                }
                Envelope::Sequenced(_, Sequenced::End { call: of, .. }) if of.id == call.id => {
                    return Ok(Bytes::new());
                }
                Envelope::Sequenced(_, Sequenced::Error { call: of, error }) if of.id == call.id => {
                    return Err(match error {
                        WireError::Status { code, message, detail } => Failed::Status(code, message, detail),
                        WireError::Application { .. } => Failed::Application,
                    });
                }
                _ => {}
            }
        }
    }

    /// Makes a call of service 0 with arguments in JSON.
    pub async fn call(&mut self, method: u32, arguments: &str) -> Result<Bytes, Failed> {
        let call = self.open(method, arguments).await;
        self.ended(call).await
    }

    /// Leaves in order.
    pub async fn close(mut self) {
        // The server may be gone already.
        let frame = CloseFrame { code: CloseCode::Normal, reason: "".into() };
        let _ = self.socket.close(Some(frame)).await;
        while let Some(Ok(_)) = self.socket.next().await {}
    }

    pub fn into_inner(self) -> S {
        self.socket.into_inner()
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Failed {
    Status(Code, String, u64),
    Application,
}

impl Failed {
    pub fn code(&self) -> Code {
        match self {
            Self::Status(code, ..) => *code,
            Self::Application => panic!("the method's own error"),
        }
    }
}

pub fn hello(services: &[&ServiceDescriptor]) -> Hello {
    let declare =
        |service: &&ServiceDescriptor| Declaration { name: service.name.into(), digest: service.digest() };
    Hello {
        versions: vec![1],
        instance: 1,
        attempt: 1,
        credentials: Secret::from(Bytes::new()),
        declarations: services.iter().map(declare).collect(),
        limits: LIMITS,
        resume: None,
    }
}
