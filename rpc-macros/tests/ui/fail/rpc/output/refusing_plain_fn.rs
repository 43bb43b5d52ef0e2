use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    fn messages(&self) -> Result<impl Stream<Item = u64>, String>;
}

fn main() {}
