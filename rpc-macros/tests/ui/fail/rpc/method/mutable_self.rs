#[bowline::rpc]
trait Chat {
    async fn post(&mut self, text: String) -> u64;
}

fn main() {}
