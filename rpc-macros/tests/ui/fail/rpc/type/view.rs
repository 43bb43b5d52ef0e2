use bowline::prelude::*;

struct NotMessage;

#[bowline::rpc]
trait Chat {
    async fn upload(&self, item: View<NotMessage>) -> u64;
}

fn main() {}
