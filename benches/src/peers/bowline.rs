use std::net::SocketAddr;
use std::sync::Arc;

use bowline::prelude::*;
use bowline::{ServerBuilder, ServiceClient};

use super::{Caller, Doing, PICKED, Peer, in_tasks, same};

/// What the server offers.
#[bowline::rpc]
pub trait Bench {
    /// Answers what it was asked.
    async fn echo(&self, text: String) -> String;

    /// Answers one of the samples, read in place.
    async fn upload(&self, samples: View<Vec<f32>>) -> f32;

    /// Counts.
    fn items(&self, n: u64) -> impl Stream<Item = u64>;
}

/// The same service as an older client knows it: two ends with different types speak JSON.
mod older {
    #[bowline::rpc]
    pub trait Bench {
        /// Without the argument that came later.
        async fn echo(&self, text: String) -> String;
    }
}

/// The service with an argument that older clients leave out.
mod newer {
    #[bowline::rpc]
    pub trait Bench {
        /// Answers what it was asked.
        async fn echo(&self, text: String, #[serde(default)] suffix: Option<String>) -> String;
    }
}

struct Service;

impl Bench for Service {
    async fn echo(&self, text: String) -> String {
        text
    }

    async fn upload(&self, samples: View<Vec<f32>>) -> f32 {
        samples.get(PICKED).map_or(f32::NAN, |sample| sample.to_native())
    }

    fn items(&self, n: u64) -> impl Stream<Item = u64> {
        futures_util::stream::iter(0..n)
    }
}

impl newer::Bench for Service {
    async fn echo(&self, text: String, suffix: Option<String>) -> String {
        suffix.map_or_else(|| text.clone(), |suffix| text.clone() + &suffix)
    }
}

/// The server of every scenario: as it is, without a setting. A test looks at what it tells its clients.
pub(crate) fn server() -> ServerBuilder {
    bowline::Server::builder()
}

/// Serves what was built, on a free port of the runtime that polls this.
pub(crate) async fn serve(server: bowline::Server) -> crate::Result<SocketAddr> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(bowline::serve(listener, server).into_future());
    Ok(address)
}

/// The client of every scenario, likewise.
pub(crate) async fn connect<C: ServiceClient>(server: SocketAddr) -> crate::Result<C> {
    Ok(C::connect(format!("ws://{server}/")).await?)
}

/// Bowline with its defaults: nothing is switched off.
#[derive(Debug)]
pub(super) struct Bowline;

impl Peer for Bowline {
    fn name(&self) -> &'static str {
        "bowline"
    }

    fn serve(&self) -> Doing<'static, SocketAddr> {
        Box::pin(serve(server().service(BenchServer::new(Service)).build()))
    }

    fn connect(&self, server: SocketAddr) -> Doing<'static, Arc<dyn Caller>> {
        Box::pin(async move { Ok(Arc::new(Connected(connect(server).await?)) as Arc<dyn Caller>) })
    }
}

struct Connected(BenchClient);

impl Caller for Connected {
    fn calls(&self, text: Arc<str>, in_flight: usize, n: u64) -> Doing<'_, ()> {
        Box::pin(in_tasks(in_flight, n, move |share| {
            let (client, text) = (self.0.clone(), Arc::clone(&text));
            async move {
                for _ in 0..share {
                    same(&*text, &*client.echo(text.to_string()).await?)?;
                }
                Ok(())
            }
        }))
    }

    fn uploads(&self, samples: Arc<[f32]>, n: u64) -> Doing<'_, ()> {
        Box::pin(async move {
            for _ in 0..n {
                same(samples[PICKED], self.0.upload(samples.to_vec()).await?)?;
            }
            Ok(())
        })
    }

    fn items(&self, n: u64) -> Doing<'_, ()> {
        Box::pin(async move {
            let mut items = self.0.items(n).await?;
            for number in 0..n {
                same(number, items.next().await.ok_or("the stream ended early")??)?;
            }
            same(true, items.next().await.is_none())
        })
    }
}

/// Bowline between two ends of different versions, which speak JSON with each other.
#[derive(Debug)]
pub(super) struct OverJson;

impl Peer for OverJson {
    fn name(&self) -> &'static str {
        "bowline, json"
    }

    fn serve(&self) -> Doing<'static, SocketAddr> {
        Box::pin(serve(server().service(newer::BenchServer::new(Service)).build()))
    }

    fn connect(&self, server: SocketAddr) -> Doing<'static, Arc<dyn Caller>> {
        Box::pin(async move { Ok(Arc::new(Older(connect(server).await?)) as Arc<dyn Caller>) })
    }
}

struct Older(older::BenchClient);

impl Caller for Older {
    fn calls(&self, text: Arc<str>, in_flight: usize, n: u64) -> Doing<'_, ()> {
        Box::pin(in_tasks(in_flight, n, move |share| {
            let (client, text) = (self.0.clone(), Arc::clone(&text));
            async move {
                for _ in 0..share {
                    same(&*text, &*client.echo(text.to_string()).await?)?;
                }
                Ok(())
            }
        }))
    }
}
