use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    #[rpc(resume = "after: id")]
    fn messages(&self, after: Option<u64>) -> impl Stream<Item = u64>;
}

fn main() {}
