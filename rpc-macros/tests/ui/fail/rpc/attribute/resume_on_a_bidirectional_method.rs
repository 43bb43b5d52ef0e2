use bowline::prelude::*;

#[bowline::message]
struct Message {
    id: u64,
}

#[bowline::rpc]
trait Chat {
    #[rpc(resume = "after: id")]
    fn talk(&self, after: Option<u64>, words: Streaming<Message>) -> impl Stream<Item = Message>;
}

fn main() {}
