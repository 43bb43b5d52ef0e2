#[bowline::rpc]
trait Chat {
    async fn post(&self, #[must_use] text: String) -> u64;
}

fn main() {}
