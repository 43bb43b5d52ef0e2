#[bowline::rpc]
trait Chat {
    #[rpc(once, once)]
    async fn post(&self, text: String) -> u64;
}

fn main() {}
