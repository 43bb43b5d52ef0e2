#[bowline::rpc]
trait Chat {
    async fn post(&self, _: String) -> u64;
}

fn main() {}
