use bowline::prelude::*;

#[bowline::message]
struct Message {
    id: u64,
}

#[bowline::rpc]
trait Chat {
    #[rpc(resume = "after: id")]
    fn messages(&self) -> impl Stream<Item = Message>;
}

fn main() {}
