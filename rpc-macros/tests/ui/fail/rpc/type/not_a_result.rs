use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    async fn messages(&self) -> Option<impl Stream<Item = u64>>;
}

fn main() {}
