#[bowline::rpc]
trait Chat {
    async unsafe fn post(&self, text: String) -> u64;
}

fn main() {}
