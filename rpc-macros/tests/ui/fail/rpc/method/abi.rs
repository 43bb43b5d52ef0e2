#[bowline::rpc]
trait Chat {
    async extern "C" fn post(&self, text: String) -> u64;
}

fn main() {}
