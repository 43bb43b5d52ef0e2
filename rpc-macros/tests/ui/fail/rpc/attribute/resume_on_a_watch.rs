use bowline::prelude::*;

#[bowline::message]
struct Message {
    id: u64,
}

#[bowline::rpc]
trait Chat {
    #[rpc(watch, resume = "after: id")]
    fn newest(&self, after: Option<u64>) -> impl Stream<Item = Message>;
}

fn main() {}
