use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    #[rpc(resume = "id")]
    fn messages(&self) -> impl Stream<Item = u64>;
}

fn main() {}
