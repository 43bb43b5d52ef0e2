#[bowline::rpc]
trait Chat {
    #[rpc(deadline = "2")]
    async fn post(&self, text: String) -> u64;
}

fn main() {}
