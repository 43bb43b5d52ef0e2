#[bowline::rpc]
trait Chat {
    #[rpc(notify, notify)]
    async fn typing(&self);
}

fn main() {}
