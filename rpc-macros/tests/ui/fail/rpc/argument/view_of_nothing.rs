#[bowline::rpc]
trait Chat {
    async fn upload(&self, frame: View) -> u64;
}

fn main() {}
