use bowline::prelude::*;
use bowline::transport::memory::{MemoryConnector, network};
use bowline::{ClientBuilder, Server};

use crate::Result;
use crate::service::{BenchClient, BenchServer, Desk};

/// How a client reaches the server of [`serve`].
#[derive(Debug, Clone)]
pub struct Connector {
    links: MemoryConnector,
    news: Topic<String>,
}

/// A stub of a connected client, with what the server publishes.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) stub: BenchClient,
    pub(crate) news: Topic<String>,
}

/// Starts a server with its defaults whose links are in memory, on the runtime that it is called in.
pub async fn serve() -> Connector {
    let desk = Desk::default();
    let news = desk.news.clone();
    listen(Server::builder().service(BenchServer::new(desk)).build(), news)
}

/// Lets a server take links in memory.
pub(crate) fn listen(server: Server, news: Topic<String>) -> Connector {
    let (mut listener, links) = network();
    tokio::spawn(async move {
        while let Some(link) = listener.accept().await {
            server.accept(link);
        }
    });
    Connector { links, news }
}

/// Connects a client with its defaults, on the runtime that it is called in.
///
/// # Errors
///
/// When the server is gone.
pub async fn connect(connector: &Connector) -> Result<Client> {
    let stub = connector.builder().connect().await?.client();
    Ok(Client { stub, news: connector.news.clone() })
}

impl Connector {
    /// A client of the server, to be given layers.
    pub(crate) fn builder(&self) -> ClientBuilder {
        bowline::Client::builder("memory").connector(self.links.clone())
    }

    pub(crate) fn client(&self, stub: BenchClient) -> Client {
        Client { stub, news: self.news.clone() }
    }
}

impl Client {
    /// Subscribes to what the server publishes.
    ///
    /// # Errors
    ///
    /// When the session is lost.
    pub async fn news(&self) -> Result<Streaming<String>> {
        Ok(self.stub.news().await?)
    }
}
