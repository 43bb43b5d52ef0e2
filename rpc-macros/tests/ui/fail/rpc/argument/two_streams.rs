use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    async fn upload(&self, left: Streaming<u8>, right: Streaming<u8>) -> u64;
}

fn main() {}
