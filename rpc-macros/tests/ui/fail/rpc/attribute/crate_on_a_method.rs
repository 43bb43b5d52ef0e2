#[bowline::rpc]
trait Chat {
    #[rpc(crate = bowline)]
    async fn post(&self, text: String) -> u64;
}

fn main() {}
