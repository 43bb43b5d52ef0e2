#[bowline::rpc]
trait Chat {
    async fn post_it(&self) -> u64;

    async fn post__it(&self) -> u64;
}

fn main() {}
