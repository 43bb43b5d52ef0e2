#[bowline::rpc]
trait Chat {
    async fn post(&self, (room, text): (String, String)) -> u64;
}

fn main() {}
