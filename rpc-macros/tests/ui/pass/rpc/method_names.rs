//! Methods may have the names of our own, and of traits that everything has.

#![deny(warnings)]

use bowline::prelude::*;

#[bowline::rpc]
pub trait Names {
    async fn new(&self) -> u64;

    async fn from_arc(&self) -> u64;

    async fn connect(&self, url: String) -> u64;

    async fn channel(&self) -> u64;

    async fn from_channel(&self) -> u64;

    async fn as_channel(&self) -> u64;

    async fn call(&self) -> u64;

    async fn dispatch(&self) -> u64;

    async fn descriptor(&self) -> u64;

    async fn clone(&self) -> u64;

    async fn fmt(&self) -> u64;

    async fn into(&self) -> u64;

    async fn r#type(&self) -> u64;

    async fn r#match(&self) -> u64;

    fn next(&self) -> impl Stream<Item = u64>;
}

struct Numbers;

impl Names for Numbers {
    async fn new(&self) -> u64 {
        1
    }

    async fn from_arc(&self) -> u64 {
        2
    }

    async fn connect(&self, _: String) -> u64 {
        3
    }

    async fn channel(&self) -> u64 {
        4
    }

    async fn from_channel(&self) -> u64 {
        5
    }

    async fn as_channel(&self) -> u64 {
        6
    }

    async fn call(&self) -> u64 {
        7
    }

    async fn dispatch(&self) -> u64 {
        8
    }

    async fn descriptor(&self) -> u64 {
        9
    }

    async fn clone(&self) -> u64 {
        10
    }

    async fn fmt(&self) -> u64 {
        11
    }

    async fn into(&self) -> u64 {
        12
    }

    async fn r#type(&self) -> u64 {
        13
    }

    async fn r#match(&self) -> u64 {
        14
    }

    fn next(&self) -> impl Stream<Item = u64> {
        futures_util::stream::empty()
    }
}

async fn calls(names: NamesClient) {
    let _: Option<u64> = names.connect(String::new()).await.ok();
    let _: Option<u64> = names.channel().await.ok();
    let _: Option<u64> = names.clone().await.ok();
    let _: Option<u64> = names.r#type().await.ok();
}

fn main() {
    use bowline::ServiceClient;

    let _ = NamesServer::new(Numbers);
    let _ = calls;
    assert_eq!(NamesClient::SERVICE.methods[12].name, "type");
}
