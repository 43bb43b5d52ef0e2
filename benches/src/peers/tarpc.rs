//! tarpc over TCP with bincode.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::StreamExt;
use tarpc::server::{BaseChannel, Channel};
use tarpc::tokio_serde::formats::Bincode;
use tarpc::{client, context, serde_transport};
use tokio::net::{TcpListener, TcpStream};

use super::{Caller, Doing, PICKED, Peer, in_tasks, same};

/// What the server offers.
#[tarpc::service]
pub trait Bench {
    /// Answers what it was asked.
    async fn echo(text: String) -> String;
    /// Answers one of the samples.
    async fn upload(samples: Vec<f32>) -> f32;
}

#[derive(Clone)]
struct Service;

impl Bench for Service {
    async fn echo(self, _: context::Context, text: String) -> String {
        text
    }

    async fn upload(self, _: context::Context, samples: Vec<f32>) -> f32 {
        samples.get(PICKED).copied().unwrap_or(f32::NAN)
    }
}

/// With its own defaults, and without Nagle's algorithm, which its transport leaves on.
#[derive(Debug)]
pub(super) struct Tarpc;

impl Peer for Tarpc {
    fn name(&self) -> &'static str {
        "tarpc"
    }

    fn serve(&self) -> Doing<'static, SocketAddr> {
        Box::pin(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let address = listener.local_addr()?;
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    // Fails only for a stream that is gone already.
                    let _ = stream.set_nodelay(true);
                    let transport = serde_transport::Transport::from((stream, Bincode::default()));
                    let requests = BaseChannel::with_defaults(transport).execute(Service.serve());
                    tokio::spawn(requests.for_each(async |request| {
                        tokio::spawn(request);
                    }));
                }
            });
            Ok(address)
        })
    }

    fn connect(&self, server: SocketAddr) -> Doing<'static, Arc<dyn Caller>> {
        Box::pin(async move {
            let stream = TcpStream::connect(server).await?;
            stream.set_nodelay(true)?;
            let transport = serde_transport::Transport::from((stream, Bincode::default()));
            let client = BenchClient::new(client::Config::default(), transport).spawn();
            Ok(Arc::new(Connected(client)) as Arc<dyn Caller>)
        })
    }
}

struct Connected(BenchClient);

impl Caller for Connected {
    fn calls(&self, text: Arc<str>, in_flight: usize, n: u64) -> Doing<'_, ()> {
        Box::pin(in_tasks(in_flight, n, move |share| {
            let (client, text) = (self.0.clone(), Arc::clone(&text));
            async move {
                for _ in 0..share {
                    same(&*text, &*client.echo(context::current(), text.to_string()).await?)?;
                }
                Ok(())
            }
        }))
    }

    fn uploads(&self, samples: Arc<[f32]>, n: u64) -> Doing<'_, ()> {
        Box::pin(async move {
            for _ in 0..n {
                same(samples[PICKED], self.0.upload(context::current(), samples.to_vec()).await?)?;
            }
            Ok(())
        })
    }
}
