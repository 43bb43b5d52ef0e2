use std::net::SocketAddr;
use std::sync::Arc;

use bowline::prelude::*;

use super::{Items, Publish, Source, TEXT};
use crate::peers::Doing;
use crate::peers::bowline::{connect, serve, server};

/// A news item.
#[bowline::message]
#[derive(Debug, Clone)]
pub struct Item {
    number: u64,
    text: String,
}

/// What is published, for everybody who subscribes.
#[bowline::rpc]
pub trait News {
    /// Every item from now on.
    fn items(&self, cx: &Context) -> impl Stream<Item = Shared<Item>>;
}

struct Publisher(Topic<Item>);

impl News for Publisher {
    fn items(&self, cx: &Context) -> impl Stream<Item = Shared<Item>> {
        self.0.subscribe(cx)
    }
}

/// A topic and one session for each reader, with the defaults of both.
#[derive(Debug)]
pub(super) struct Bowline;

impl Source for Bowline {
    fn name(&self) -> &'static str {
        "bowline"
    }

    fn serve(&self, _readers: usize) -> Doing<'static, (SocketAddr, Publish)> {
        Box::pin(async {
            let topic = Topic::new();
            let service = NewsServer::new(Publisher(topic.clone()));
            let address = serve(server().service(service).build()).await?;
            let publish: Publish = Arc::new(move |number| {
                topic.publish(Item { number, text: TEXT.to_owned() });
            });
            Ok((address, publish))
        })
    }

    fn subscribe(&self, server: SocketAddr) -> Doing<'static, Items> {
        Box::pin(async move {
            let client = connect::<NewsClient>(server).await?;
            let items = client.items().await?;
            // A gap is an error here, as everything else that is not the next item.
            let items = items.map(move |item| {
                let _connected = &client;
                let item = item?;
                Ok((item.number, item.text.len()))
            });
            Ok(Box::pin(items) as Items)
        })
    }
}
