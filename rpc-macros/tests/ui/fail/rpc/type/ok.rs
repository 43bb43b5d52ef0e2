struct NotMessage;

#[bowline::rpc]
trait Chat {
    async fn post(&self) -> Result<NotMessage, String>;
}

fn main() {}
