#[bowline::rpc]
trait Chat {
    #[rpc(deadline)]
    async fn post(&self, text: String) -> u64;
}

fn main() {}
