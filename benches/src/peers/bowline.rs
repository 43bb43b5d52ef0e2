use std::net::SocketAddr;
use std::sync::Arc;

use bowline::prelude::*;

use super::{Caller, Doing, Peer, in_tasks, same};

/// What the server offers.
#[bowline::rpc]
pub trait Bench {
    /// Answers what it was asked.
    async fn echo(&self, text: String) -> String;
}

struct Service;

impl Bench for Service {
    async fn echo(&self, text: String) -> String {
        text
    }
}

/// Bowline with its defaults: nothing is switched off.
#[derive(Debug)]
pub(super) struct Bowline;

impl Peer for Bowline {
    fn name(&self) -> &'static str {
        "bowline"
    }

    fn serve(&self) -> Doing<'static, SocketAddr> {
        Box::pin(async {
            let server = bowline::Server::builder().service(BenchServer::new(Service)).build();
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
            let address = listener.local_addr()?;
            tokio::spawn(bowline::serve(listener, server).into_future());
            Ok(address)
        })
    }

    fn connect(&self, server: SocketAddr) -> Doing<'static, Arc<dyn Caller>> {
        Box::pin(async move {
            let client = BenchClient::connect(format!("ws://{server}/")).await?;
            Ok(Arc::new(Connected(client)) as Arc<dyn Caller>)
        })
    }
}

struct Connected(BenchClient);

impl Caller for Connected {
    fn calls(&self, text: Arc<str>, in_flight: usize, n: u64) -> Doing<'_, ()> {
        let client = self.0.clone();
        Box::pin(in_tasks(in_flight, n, move || {
            let (client, text) = (client.clone(), Arc::clone(&text));
            async move { same(&text, &client.echo(text.to_string()).await?) }
        }))
    }
}
