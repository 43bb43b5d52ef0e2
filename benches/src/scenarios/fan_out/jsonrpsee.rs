//! jsonrpsee's subscriptions over tokio's broadcast channel, as in its example of that; the item is encoded once, and
//! each subscription's message is made in the way that its documentation calls the more efficient one.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::StreamExt;
use jsonrpsee::RpcModule;
use jsonrpsee::core::client::SubscriptionClientT;
use jsonrpsee::core::{JsonRawValue, SubscriptionResult, to_json_raw_value};
use jsonrpsee::rpc_params;
use jsonrpsee::server::{PendingSubscriptionSink, Server, ServerConfig, SubscriptionMessage};
use jsonrpsee::ws_client::WsClientBuilder;
use tokio::sync::broadcast;

use super::{Items, Publish, ROOM, Source, TEXT};
use crate::peers::Doing;

#[derive(Debug)]
pub(super) struct Jsonrpsee;

#[derive(serde::Serialize, serde::Deserialize)]
struct Item {
    number: u64,
    text: String,
}

type Encoded = Arc<JsonRawValue>;

impl Source for Jsonrpsee {
    fn name(&self) -> &'static str {
        "jsonrpsee"
    }

    fn serve(&self, readers: usize) -> Doing<'static, (SocketAddr, Publish)> {
        Box::pin(async move {
            let (publisher, _) = broadcast::channel::<Encoded>(ROOM);
            let mut module = RpcModule::new(publisher.clone());
            module.register_subscription(
                "subscribe",
                "item",
                "unsubscribe",
                |_, pending, publisher, _| send(pending, publisher.subscribe()),
            )?;
            // Its default is 100.
            let config = ServerConfig::builder().max_connections(u32::try_from(readers)? + 16).build();
            let server = Server::builder().set_config(config).build("127.0.0.1:0").await?;
            let address = server.local_addr()?;
            tokio::spawn(server.start(module).stopped());
            let publish: Publish = Arc::new(move |number| {
                let item =
                    to_json_raw_value(&Item { number, text: TEXT.to_owned() }).expect("an item is JSON");
                // Without readers there is nothing to do.
                let _ = publisher.send(item.into());
            });
            Ok((address, publish))
        })
    }

    fn subscribe(&self, server: SocketAddr) -> Doing<'static, Items> {
        Box::pin(async move {
            let client = WsClientBuilder::default()
                .max_buffer_capacity_per_subscription(ROOM)
                .build(format!("ws://{server}"))
                .await?;
            let items = client.subscribe::<Item, _>("subscribe", rpc_params![], "unsubscribe").await?;
            let items = items.map(move |item| {
                let _connected = &client;
                let item = item?;
                Ok((item.number, item.text.len()))
            });
            Ok(Box::pin(items) as Items)
        })
    }
}

async fn send(
    pending: PendingSubscriptionSink,
    mut items: broadcast::Receiver<Encoded>,
) -> SubscriptionResult {
    let sink = pending.accept().await?;
    loop {
        let item = tokio::select! {
            item = items.recv() => item?,
            () = sink.closed() => return Ok(()),
        };
        let message = SubscriptionMessage::new(sink.method_name(), sink.subscription_id(), &item)?;
        sink.send(message).await?;
    }
}
