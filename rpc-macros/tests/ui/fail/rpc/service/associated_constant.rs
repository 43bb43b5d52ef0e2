#[bowline::rpc]
trait Chat {
    const ROOMS: u32;

    async fn post(&self, text: String) -> u64;
}

fn main() {}
