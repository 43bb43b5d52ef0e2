use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    #[rpc(idempotent)]
    fn draw(&self, strokes: Streaming<u64>) -> impl Stream<Item = u64>;
}

fn main() {}
