#[bowline::rpc]
trait Chat {
    #[rpc]
    async fn post(&self, text: String) -> u64;
}

fn main() {}
