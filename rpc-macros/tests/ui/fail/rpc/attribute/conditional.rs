#[bowline::rpc]
trait Chat {
    #[cfg_attr(all(), rpc(notify))]
    async fn typing(&self);
}

fn main() {}
