//! Arguments may have the names of our own bindings.

#![deny(warnings)]

use bowline::prelude::*;
use futures_util::stream;

#[bowline::rpc]
pub trait Names {
    async fn ours(&self, context: &Context, cx: u8, channel: u8, args: u8, call: u8, service: u8) -> u64;

    async fn more(&self, number: u8, out: u8, client: u8, stream: u8, error: u8, upload: u8) -> u64;

    async fn raw(&self, r#type: u8, r#fn: u8, r#match: u8) -> u64;

    fn stream(&self, out: u8, stream: Streaming<u8>) -> impl Stream<Item = u8>;

    async fn refusing(&self, out: u8, error: u8, call: Streaming<u8>) -> Result<impl Stream<Item = u8>, String>;

    async fn view(&self, args: View<String>, view: u8) -> u64;
}

struct Sum;

impl Names for Sum {
    async fn ours(&self, _: &Context, cx: u8, channel: u8, args: u8, call: u8, service: u8) -> u64 {
        u64::from(cx + channel + args + call + service)
    }

    async fn more(&self, number: u8, out: u8, client: u8, stream: u8, error: u8, upload: u8) -> u64 {
        u64::from(number + out + client + stream + error + upload)
    }

    async fn raw(&self, r#type: u8, r#fn: u8, r#match: u8) -> u64 {
        u64::from(r#type + r#fn + r#match)
    }

    fn stream(&self, out: u8, _: Streaming<u8>) -> impl Stream<Item = u8> {
        stream::iter([out])
    }

    async fn refusing(&self, _: u8, _: u8, _: Streaming<u8>) -> Result<impl Stream<Item = u8>, String> {
        if true { Err(String::new()) } else { Ok(stream::empty()) }
    }

    async fn view(&self, args: View<String>, view: u8) -> u64 {
        args.len() as u64 + u64::from(view)
    }
}

fn main() {
    let _ = NamesServer::new(Sum);
}
