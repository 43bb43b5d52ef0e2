#[bowline::rpc]
trait Chat {
    #[rpc(notfy)]
    async fn typing(&self);
}

fn main() {}
