#[bowline::rpc]
trait Chat {
    #[rpc(idempotent, once)]
    async fn post(&self, text: String) -> u64;
}

fn main() {}
