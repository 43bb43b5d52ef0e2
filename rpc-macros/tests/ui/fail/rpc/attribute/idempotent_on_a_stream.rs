use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    #[rpc(idempotent)]
    fn messages(&self) -> impl Stream<Item = u64>;
}

fn main() {}
