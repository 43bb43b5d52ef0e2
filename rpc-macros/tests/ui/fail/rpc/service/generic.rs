#[bowline::rpc]
trait Chat<T> {
    async fn post(&self, text: T) -> u64;
}

fn main() {}
