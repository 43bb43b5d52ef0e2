use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    async fn post(&self, cx: &mut Context, text: String) -> u64;
}

fn main() {}
