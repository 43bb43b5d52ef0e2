#[bowline::rpc]
trait Chat {
    #[rpc(watch)]
    async fn members(&self) -> u64;
}

fn main() {}
