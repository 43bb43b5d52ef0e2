use bowline::prelude::*;

struct NotMessage;

#[bowline::rpc]
trait Chat {
    async fn upload(&self, items: Streaming<NotMessage>) -> u64;
}

fn main() {}
