use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    #[rpc(once)]
    async fn upload(&self, parts: Streaming<Vec<u8>>) -> u64;
}

fn main() {}
