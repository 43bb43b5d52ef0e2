#[bowline::rpc(once)]
trait Chat {
    async fn post(&self, text: String) -> u64;
}

fn main() {}
