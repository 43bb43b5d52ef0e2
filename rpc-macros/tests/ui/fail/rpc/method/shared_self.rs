#[bowline::rpc]
trait Chat {
    async fn post(self: std::sync::Arc<Self>, text: String) -> u64;
}

fn main() {}
