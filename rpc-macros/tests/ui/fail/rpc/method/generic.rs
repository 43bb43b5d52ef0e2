#[bowline::rpc]
trait Chat {
    async fn post<T>(&self, text: T) -> u64;
}

fn main() {}
