use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    fn counts(&self) -> impl Stream<Item = usize>;
}

fn main() {}
