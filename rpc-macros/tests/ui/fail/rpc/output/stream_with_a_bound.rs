use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    fn messages(&self) -> impl Stream<Item = u64> + Send;
}

fn main() {}
