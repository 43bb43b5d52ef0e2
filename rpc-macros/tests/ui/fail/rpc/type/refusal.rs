use bowline::prelude::*;

struct NotMessage;

#[bowline::rpc]
trait Chat {
    async fn messages(&self) -> Result<impl Stream<Item = u64>, NotMessage>;
}

fn main() {}
