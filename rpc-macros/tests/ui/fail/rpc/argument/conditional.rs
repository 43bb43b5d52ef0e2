#[bowline::rpc]
trait Chat {
    async fn post(&self, #[cfg(all())] text: String) -> u64;
}

fn main() {}
