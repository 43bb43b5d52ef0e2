use bowline::prelude::*;

#[bowline::rpc(kratE = bowline)]
trait Chat: Clone {
    #[rpc(notfy)]
    async fn post(&self, text: &str) -> u64;

    async fn edit(&mut self, (id, text): (u64, String));

    fn rename(&self, name: String) -> Result<(), String>;

    #[rpc(watch, lag = "latest", deadline = "soon")]
    fn members(&self, room: impl Into<String>) -> impl Stream<Item = u64> + Send;

    #[rpc(once, idempotent)]
    async fn leave(&self) {}
}

fn main() {}
