use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    async fn names(&self) -> Result<impl Stream<Item = String>, &'static str>;
}

fn main() {}
