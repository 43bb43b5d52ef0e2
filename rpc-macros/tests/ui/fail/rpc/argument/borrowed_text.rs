#[bowline::rpc]
trait Chat {
    async fn post(&self, text: &str) -> u64;
}

fn main() {}
