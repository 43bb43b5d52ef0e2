use bowline::prelude::*;

#[bowline::rpc]
trait Chat {
    #[rpc(notfy)]
    async fn post(&self, text: String) -> Result<u64, String>;

    fn messages(&self) -> impl Stream<Item = u64>;
}

struct Room;

impl Chat for Room {
    async fn post(&self, text: String) -> Result<u64, String> {
        Ok(text.len() as u64)
    }

    fn messages(&self) -> impl Stream<Item = u64> {
        futures_util::stream::empty()
    }
}

async fn uses(chat: ChatClient) -> Option<u64> {
    let server = ChatServer::new(Room);
    drop(server);
    let _messages = chat.messages().await.ok()?;
    chat.post(String::new()).await.ok()
}

fn main() {}
