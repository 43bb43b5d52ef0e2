use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::bowline::prelude::*;
use futures_util::stream;

use crate::Result;
use crate::peers::bowline;
use crate::scenarios::calls::TEXT;

/// An item.
#[::bowline::message]
#[derive(Debug, Clone)]
pub struct Item {
    /// Its place in the stream.
    pub number: u64,
    /// Something to carry.
    pub text: String,
}

/// What the server offers.
#[::bowline::rpc]
pub trait Slow {
    /// So many items, as fast as anybody takes them.
    fn flood(&self, items: u64) -> impl Stream<Item = Item>;
    /// How many items were made, for all streams together.
    async fn made(&self) -> u64;
    /// Answers what it was asked.
    async fn echo(&self, text: String) -> String;
}

#[derive(Default)]
struct Service {
    made: Arc<AtomicU64>,
}

impl Slow for Service {
    fn flood(&self, items: u64) -> impl Stream<Item = Item> {
        let made = Arc::clone(&self.made);
        stream::iter(0..items).map(move |number| {
            made.fetch_add(1, Ordering::Relaxed);
            Item { number, text: text().to_owned() }
        })
    }

    async fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    async fn echo(&self, text: String) -> String {
        text
    }
}

/// What each item carries.
pub(super) fn text() -> &'static str {
    TEXT
}

/// Starts the server on the runtime that polls this.
///
/// # Errors
///
/// When there is no port.
pub async fn serve() -> Result<SocketAddr> {
    bowline::serve(bowline::server().service(SlowServer::new(Service::default())).build()).await
}
