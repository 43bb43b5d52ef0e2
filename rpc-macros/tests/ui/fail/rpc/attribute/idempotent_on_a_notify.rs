#[bowline::rpc]
trait Chat {
    #[rpc(notify, idempotent)]
    async fn typing(&self);
}

fn main() {}
