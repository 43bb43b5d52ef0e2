//! tonic: gRPC over HTTP/2.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status};

use super::{Caller, Doing, PICKED, Peer, in_tasks, same};
use proto::echo_client::EchoClient;
use proto::echo_server::{Echo, EchoServer};
use proto::{Item, Limit, Sample, Samples, Text};

/// Made of `proto/echo.proto` by `build.rs`.
#[allow(missing_docs, missing_debug_implementations, unreachable_pub, clippy::all, reason = "generated")]
mod proto {
    tonic::include_proto!("echo");
}

struct Service;

#[tonic::async_trait]
impl Echo for Service {
    async fn echo(&self, request: Request<Text>) -> Result<Response<Text>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn upload(&self, request: Request<Samples>) -> Result<Response<Sample>, Status> {
        let sample = request.into_inner().samples.get(PICKED).copied();
        let sample = sample.ok_or_else(|| Status::invalid_argument("too few samples"))?;
        Ok(Response::new(Sample { sample }))
    }

    type CountStream = Pin<Box<dyn Stream<Item = Result<Item, Status>> + Send>>;

    async fn count(&self, request: Request<Limit>) -> Result<Response<Self::CountStream>, Status> {
        let items = (0..request.into_inner().items).map(|number| Ok(Item { number }));
        Ok(Response::new(Box::pin(futures_util::stream::iter(items))))
    }
}

/// With its defaults; they include `TCP_NODELAY` at both ends.
#[derive(Debug)]
pub(super) struct Tonic;

impl Peer for Tonic {
    fn name(&self) -> &'static str {
        "tonic"
    }

    fn serve(&self) -> Doing<'static, SocketAddr> {
        Box::pin(async {
            let incoming = TcpIncoming::bind("127.0.0.1:0".parse()?)?.with_nodelay(Some(true));
            let address = incoming.local_addr()?;
            let server = Server::builder().add_service(EchoServer::new(Service));
            tokio::spawn(server.serve_with_incoming(incoming));
            Ok(address)
        })
    }

    fn connect(&self, server: SocketAddr) -> Doing<'static, Arc<dyn Caller>> {
        Box::pin(async move {
            let channel = Endpoint::from_shared(format!("http://{server}"))?.connect().await?;
            Ok(Arc::new(Connected(EchoClient::new(channel))) as Arc<dyn Caller>)
        })
    }
}

struct Connected(EchoClient<Channel>);

impl Caller for Connected {
    fn calls(&self, text: Arc<str>, in_flight: usize, n: u64) -> Doing<'_, ()> {
        Box::pin(in_tasks(in_flight, n, move |share| {
            let (mut client, text) = (self.0.clone(), Arc::clone(&text));
            async move {
                for _ in 0..share {
                    let answer = client.echo(Text { text: text.to_string() }).await?;
                    same(&*text, &*answer.into_inner().text)?;
                }
                Ok(())
            }
        }))
    }

    fn uploads(&self, samples: Arc<[f32]>, n: u64) -> Doing<'_, ()> {
        let mut client = self.0.clone();
        Box::pin(async move {
            for _ in 0..n {
                let answer = client.upload(Samples { samples: samples.to_vec() }).await?;
                same(samples[PICKED], answer.into_inner().sample)?;
            }
            Ok(())
        })
    }

    fn items(&self, n: u64) -> Doing<'_, ()> {
        let mut client = self.0.clone();
        Box::pin(async move {
            let mut items = client.count(Limit { items: n }).await?.into_inner();
            for number in 0..n {
                same(number, items.message().await?.ok_or("the stream ended early")?.number)?;
            }
            same(true, items.message().await?.is_none())
        })
    }
}
