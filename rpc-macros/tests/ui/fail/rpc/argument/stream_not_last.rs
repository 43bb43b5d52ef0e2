use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    async fn upload(&self, chunks: Streaming<u8>, name: String) -> u64;
}

fn main() {}
