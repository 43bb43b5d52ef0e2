#[bowline::rpc]
trait Chat {
    async fn post(&self, text: Option<&'static str>) -> u64;
}

fn main() {}
