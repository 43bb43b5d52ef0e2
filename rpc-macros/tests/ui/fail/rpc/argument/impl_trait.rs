#[bowline::rpc]
trait Chat {
    async fn post(&self, text: impl Into<String>) -> u64;
}

fn main() {}
