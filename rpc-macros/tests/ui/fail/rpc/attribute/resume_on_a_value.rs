#[bowline::message]
struct Message {
    id: u64,
}

#[bowline::rpc]
trait Chat {
    #[rpc(resume = "after: id")]
    async fn history(&self, after: Option<u64>) -> Message;
}

fn main() {}
