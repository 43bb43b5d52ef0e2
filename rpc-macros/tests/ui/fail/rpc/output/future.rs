#[bowline::rpc]
trait Chat {
    fn post(&self, text: String) -> impl Future<Output = u64>;
}

fn main() {}
