#[bowline::rpc]
trait Chat {
    #[rpc(deadline = "0s")]
    async fn post(&self, text: String) -> u64;
}

fn main() {}
