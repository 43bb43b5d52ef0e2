//! jsonrpsee over WebSockets.

use std::net::SocketAddr;
use std::sync::Arc;

use jsonrpsee::core::{RpcResult, SubscriptionResult, async_trait, to_json_raw_value};
use jsonrpsee::proc_macros::rpc;
use jsonrpsee::server::{PendingSubscriptionSink, ServerBuilder};
use jsonrpsee::types::ErrorObject;
use jsonrpsee::ws_client::{WsClient, WsClientBuilder};

use super::{Caller, Doing, PICKED, Peer, in_tasks, same};

/// Larger than the 1 MiB of samples as JSON.
const LARGEST: u32 = 64 * 1024 * 1024;

/// More than any stream here has: the client ends a subscription whose buffer is full.
const ITEMS: usize = 1 << 20;

/// What the server offers.
#[rpc(server, client)]
pub trait Bench {
    /// Answers what it was asked.
    #[method(name = "echo")]
    async fn echo(&self, text: String) -> RpcResult<String>;

    /// Answers one of the samples.
    #[method(name = "upload")]
    async fn upload(&self, samples: Vec<f32>) -> RpcResult<f32>;

    /// Counts.
    #[subscription(name = "subscribe_items" => "items", item = u64)]
    async fn items(&self, n: u64) -> SubscriptionResult;
}

struct Service;

#[async_trait]
impl BenchServer for Service {
    async fn echo(&self, text: String) -> RpcResult<String> {
        Ok(text)
    }

    async fn upload(&self, samples: Vec<f32>) -> RpcResult<f32> {
        samples.get(PICKED).copied().ok_or_else(|| ErrorObject::owned(1, "too few samples", None::<()>))
    }

    async fn items(&self, pending: PendingSubscriptionSink, n: u64) -> SubscriptionResult {
        let sink = pending.accept().await?;
        for number in 0..n {
            sink.send(to_json_raw_value(&number)?).await?;
        }
        Ok(())
    }
}

/// With limits that let the work through, which its documentation tells to raise.
#[derive(Debug)]
pub(super) struct Jsonrpsee;

impl Peer for Jsonrpsee {
    fn name(&self) -> &'static str {
        "jsonrpsee"
    }

    fn serve(&self) -> Doing<'static, SocketAddr> {
        Box::pin(async {
            let config = jsonrpsee::server::ServerConfig::builder()
                .ws_only()
                // Its default is 100; the scenario with idle connections has more.
                .max_connections(10_000)
                .max_request_body_size(LARGEST)
                .set_tcp_no_delay(true)
                .build();
            let server = ServerBuilder::with_config(config).build("127.0.0.1:0").await?;
            let address = server.local_addr()?;
            tokio::spawn(server.start(Service.into_rpc()).stopped());
            Ok(address)
        })
    }

    fn connect(&self, server: SocketAddr) -> Doing<'static, Arc<dyn Caller>> {
        Box::pin(async move {
            let client = WsClientBuilder::default()
                .max_request_size(LARGEST)
                .max_concurrent_requests(1024)
                .max_buffer_capacity_per_subscription(ITEMS)
                .build(format!("ws://{server}/"))
                .await?;
            Ok(Arc::new(Connected(Arc::new(client))) as Arc<dyn Caller>)
        })
    }
}

struct Connected(Arc<WsClient>);

impl Caller for Connected {
    fn calls(&self, text: Arc<str>, in_flight: usize, n: u64) -> Doing<'_, ()> {
        Box::pin(in_tasks(in_flight, n, move |share| {
            let (client, text) = (Arc::clone(&self.0), Arc::clone(&text));
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
            let mut items = BenchClient::items(&*self.0, n).await?;
            for number in 0..n {
                same(number, items.next().await.ok_or("the stream ended early")??)?;
            }
            Ok(())
        })
    }
}
