#[bowline::rpc]
trait Chat {
    async fn post(&self, text: String) -> u64;

    async fn post_action(&self) -> u64;
}

fn main() {}
