use bowline::prelude::*;

#[bowline::message]
struct Message {
    id: u64,
}

#[bowline::rpc]
trait Chat {
    #[rpc(resume = "after: id")]
    fn messages(&self, after: Option<u32>) -> impl Stream<Item = Message>;
}

fn main() {}
