use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    fn messages(&self) -> impl Stream;
}

fn main() {}
