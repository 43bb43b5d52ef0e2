use bowline::prelude::*;

#[bowline::message]
struct Message {
    id: u64,
}

#[bowline::rpc]
trait Chat {
    #[rpc(resume = "after: number")]
    fn messages(&self, after: Option<u64>) -> impl Stream<Item = Message>;
}

fn main() {}
