use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    #[rpc(lag = "newest")]
    fn messages(&self) -> impl Stream<Item = u64>;
}

fn main() {}
