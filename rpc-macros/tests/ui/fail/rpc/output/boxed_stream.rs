use futures_util::stream::BoxStream;

#[bowline::rpc]
trait Chat {
    fn messages(&self) -> BoxStream<'static, u64>;
}

fn main() {}
