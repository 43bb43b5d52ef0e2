#[bowline::rpc]
trait Chat {
    #[rpc(once = "a day")]
    async fn post(&self, text: String) -> u64;
}

fn main() {}
