#[bowline::rpc]
trait Chat {
    type Message;

    async fn post(&self, text: String) -> u64;
}

fn main() {}
