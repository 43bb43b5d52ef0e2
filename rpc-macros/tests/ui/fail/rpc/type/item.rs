use bowline::prelude::*;

struct NotMessage;

#[bowline::rpc]
trait Chat {
    fn messages(&self) -> impl Stream<Item = NotMessage>;
}

fn main() {}
