#[bowline::rpc]
trait Chat<'a> {
    async fn post(&self, text: String) -> u64;
}

fn main() {}
