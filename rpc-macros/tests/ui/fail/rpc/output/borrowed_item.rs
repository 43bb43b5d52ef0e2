use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    fn names(&self) -> impl Stream<Item = &'static str>;
}

fn main() {}
