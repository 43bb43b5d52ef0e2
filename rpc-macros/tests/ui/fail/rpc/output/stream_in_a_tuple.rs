use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    async fn messages(&self) -> (u64, impl Stream<Item = u64>);
}

fn main() {}
