#[bowline::rpc]
trait Chat {
    #[cfg(all())]
    async fn post(&self) -> u64;

    async fn post(&self, text: String) -> u64;
}

fn main() {}
