use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    #[rpc(watch)]
    fn members(&self, names: Streaming<String>) -> impl Stream<Item = u64>;
}

fn main() {}
