use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    async fn post(&self, text: String, cx: &Context) -> u64;
}

fn main() {}
