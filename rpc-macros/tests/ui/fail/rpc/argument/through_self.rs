#[bowline::rpc]
trait Chat {
    async fn post(&self, other: Self) -> u64;
}

fn main() {}
