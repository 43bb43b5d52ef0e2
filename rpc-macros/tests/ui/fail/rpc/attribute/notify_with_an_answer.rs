#[bowline::rpc]
trait Chat {
    #[rpc(notify)]
    async fn typing(&self) -> u64;
}

fn main() {}
