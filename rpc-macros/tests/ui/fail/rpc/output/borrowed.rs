#[bowline::rpc]
trait Chat {
    async fn name(&self) -> &str;
}

fn main() {}
