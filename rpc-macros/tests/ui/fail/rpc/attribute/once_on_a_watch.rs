use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    #[rpc(watch, once)]
    fn members(&self) -> impl Stream<Item = u64>;
}

fn main() {}
