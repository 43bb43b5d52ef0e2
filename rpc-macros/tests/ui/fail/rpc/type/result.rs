struct NotMessage;

#[bowline::rpc]
trait Chat {
    async fn post(&self) -> NotMessage;
}

fn main() {}
