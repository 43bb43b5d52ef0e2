#[bowline::rpc]
trait Chat {
    async fn post(&self, mut text: String) -> u64;
}

fn main() {}
