#[bowline::rpc]
trait Chat {
    async fn upload(&self, chunks: Streaming) -> u64;
}

fn main() {}
