use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    #[rpc(notify)]
    fn typing(&self) -> impl Stream<Item = u64>;
}

fn main() {}
