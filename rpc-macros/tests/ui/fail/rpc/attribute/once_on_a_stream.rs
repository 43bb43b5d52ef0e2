use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    #[rpc(once)]
    fn messages(&self) -> impl Stream<Item = u64>;
}

fn main() {}
