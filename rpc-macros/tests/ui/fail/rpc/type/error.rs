struct NotMessage;

#[bowline::rpc]
trait Chat {
    async fn post(&self) -> Result<u64, NotMessage>;
}

fn main() {}
