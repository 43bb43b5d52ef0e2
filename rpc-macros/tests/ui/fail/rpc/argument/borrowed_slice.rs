#[bowline::rpc]
trait Chat {
    async fn post(&self, bytes: &[u8]) -> u64;
}

fn main() {}
