use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    fn messages(&self) -> impl Stream<Item = u64>;
}

struct Room;

impl Chat for Room {
    fn messages(&self) -> impl Stream<Item = u32> {
        futures_util::stream::empty()
    }
}

fn main() {}
