#[bowline::rpc]
trait Chat {
    async fn post(&self, kind: String, r#kind: String) -> u64;
}

fn main() {}
