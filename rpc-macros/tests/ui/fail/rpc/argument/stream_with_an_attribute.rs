use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    async fn upload(&self, #[serde(default)] chunks: Streaming<u8>) -> u64;
}

fn main() {}
