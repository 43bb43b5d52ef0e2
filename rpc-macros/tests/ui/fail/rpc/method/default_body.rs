#[bowline::rpc]
trait Chat {
    async fn post(&self, text: String) -> u64 {
        text.len() as u64
    }
}

fn main() {}
