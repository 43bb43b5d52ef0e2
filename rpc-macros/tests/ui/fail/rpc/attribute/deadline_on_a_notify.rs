#[bowline::rpc]
trait Chat {
    #[rpc(notify, deadline = "2s")]
    async fn typing(&self);
}

fn main() {}
