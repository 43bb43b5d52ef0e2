struct NotMessage;

#[bowline::rpc]
trait Chat {
    async fn post(&self, text: NotMessage) -> u64;
}

fn main() {}
