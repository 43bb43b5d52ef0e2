#[bowline::rpc]
trait Chat {
    #[rpc(idempotent)]
    #[rpc(idempotent)]
    async fn post(&self, text: String) -> u64;
}

fn main() {}
