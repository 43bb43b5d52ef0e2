#[bowline::rpc]
trait Chat {
    fn post(&self, text: String) -> u64;
}

fn main() {}
