#[bowline::rpc]
trait Chat where Self: Sized {
    async fn post(&self, text: String) -> u64;
}

fn main() {}
