#[bowline::rpc(crate = bowline, crate = bowline)]
trait Chat {
    async fn post(&self, text: String) -> u64;
}

fn main() {}
