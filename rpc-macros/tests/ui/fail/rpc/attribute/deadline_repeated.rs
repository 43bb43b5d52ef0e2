#[bowline::rpc]
trait Chat {
    #[rpc(deadline = "2s")]
    #[rpc(deadline = "3s")]
    async fn post(&self, text: String) -> u64;
}

fn main() {}
