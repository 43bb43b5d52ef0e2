#[bowline::rpc]
trait Chat: Clone {
    async fn post(&self, text: String) -> u64;
}

fn main() {}
