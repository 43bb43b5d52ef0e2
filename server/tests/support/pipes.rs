//! Connections in memory to a server that serves as it does over TCP.

use std::future::IntoFuture;
use std::io;

use axum::serve::Listener;
use bowline::prelude::*;
use bowline_server::{Server, serve};
use tokio::io::{DuplexStream, duplex};
use tokio::sync::mpsc;

use super::Socket;
use super::probe::{ProbeClient, method};

/// Hands out connections that tests made.
pub struct Queue(pub mpsc::UnboundedReceiver<DuplexStream>);

impl Listener for Queue {
    type Io = DuplexStream;
    type Addr = ();

    async fn accept(&mut self) -> (DuplexStream, ()) {
        match self.0.recv().await {
            Some(stream) => (stream, ()),
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

/// A server that listens for pipes in memory, so that the clock stands still while bytes move.
pub struct Network(mpsc::UnboundedSender<DuplexStream>);

impl Network {
    pub fn start(server: &Server) -> Self {
        let (connections, queue) = mpsc::unbounded_channel();
        tokio::spawn(serve(Queue(queue), server.clone()).into_future());
        Self(connections)
    }

    /// The near end of a connection to it.
    pub fn connect(&self) -> DuplexStream {
        let (near, far) = duplex(64 * 1024);
        self.0.send(far).unwrap();
        near
    }

    /// Nobody else is held up.
    pub async fn others_connect(&self) {
        let mut socket = Socket::over(self.connect()).await;
        socket.greet(&[ProbeClient::SERVICE]).await;
        assert_eq!(socket.call(method::ADD, r#"{"a":2,"b":3}"#).await.unwrap(), "5");
    }
}
