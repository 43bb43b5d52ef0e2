#[bowline::rpc]
trait Chat {
    async fn post(text: String) -> u64;
}

fn main() {}
