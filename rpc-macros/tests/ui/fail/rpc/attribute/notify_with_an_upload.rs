use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    #[rpc(notify)]
    async fn typing(&self, keys: Streaming<char>);
}

fn main() {}
