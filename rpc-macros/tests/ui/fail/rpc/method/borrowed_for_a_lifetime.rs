#[bowline::rpc]
trait Chat {
    async fn post<'a>(&'a self, text: String) -> u64;
}

fn main() {}
