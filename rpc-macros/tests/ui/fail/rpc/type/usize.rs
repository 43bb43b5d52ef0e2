#[bowline::rpc]
trait Chat {
    async fn count(&self) -> usize;
}

fn main() {}
