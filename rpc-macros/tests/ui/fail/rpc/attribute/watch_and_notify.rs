use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    #[rpc(watch, notify)]
    fn members(&self) -> impl Stream<Item = u64>;
}

fn main() {}
