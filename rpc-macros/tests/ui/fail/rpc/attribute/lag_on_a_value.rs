#[bowline::rpc]
trait Chat {
    #[rpc(lag = "latest")]
    async fn post(&self, text: String) -> u64;
}

fn main() {}
