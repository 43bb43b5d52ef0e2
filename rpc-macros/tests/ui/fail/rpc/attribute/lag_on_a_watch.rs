use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    #[rpc(watch, lag = "latest")]
    fn members(&self) -> impl Stream<Item = u64>;
}

fn main() {}
