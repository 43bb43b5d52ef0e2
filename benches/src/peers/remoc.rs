//! remoc over TCP with its default codec.

use std::net::SocketAddr;
use std::sync::Arc;

use remoc::prelude::*;
use remoc::rtc::{CallError, ServerShared};
use tokio::net::{TcpListener, TcpStream};

use super::{Caller, Doing, PICKED, Peer, in_tasks, same};

/// What the server offers.
#[rtc::remote]
pub trait Bench {
    /// Answers what it was asked.
    async fn echo(&self, text: String) -> Result<String, CallError>;
    /// Answers one of the samples.
    async fn upload(&self, samples: Vec<f32>) -> Result<f32, CallError>;
    /// Counts.
    async fn items(&self, n: u64) -> Result<rch::mpsc::Receiver<u64>, CallError>;
}

struct Service;

impl Bench for Service {
    async fn echo(&self, text: String) -> Result<String, CallError> {
        Ok(text)
    }

    async fn upload(&self, samples: Vec<f32>) -> Result<f32, CallError> {
        Ok(samples.get(PICKED).copied().unwrap_or(f32::NAN))
    }

    async fn items(&self, n: u64) -> Result<rch::mpsc::Receiver<u64>, CallError> {
        let (sender, receiver) = rch::mpsc::channel();
        tokio::spawn(async move {
            for number in 0..n {
                if sender.send(number).await.is_err() {
                    return;
                }
            }
        });
        Ok(receiver)
    }
}

/// With its defaults, and without Nagle's algorithm.
#[derive(Debug)]
pub(super) struct Remoc;

impl Peer for Remoc {
    fn name(&self) -> &'static str {
        "remoc"
    }

    fn serve(&self) -> Doing<'static, SocketAddr> {
        Box::pin(async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let address = listener.local_addr()?;
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(async move {
                        stream.set_nodelay(true)?;
                        let (read, write) = stream.into_split();
                        let (server, client) =
                            BenchServerShared::<_, remoc::codec::Default>::new(Arc::new(Service));
                        remoc::Connect::io(remoc::Cfg::default(), read, write).provide(client).await?;
                        server.serve().await.map_err(|error| crate::Error::from(error.to_string()))
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
            let (read, write) = stream.into_split();
            let client: BenchClient =
                remoc::Connect::io(remoc::Cfg::default(), read, write).consume().await?;
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
                same(number, items.recv().await?.ok_or("the stream ended early")?)?;
            }
            Ok(())
        })
    }
}
