#[bowline::rpc]
trait Chat {
    #[rpc(notify = true)]
    async fn typing(&self);
}

fn main() {}
