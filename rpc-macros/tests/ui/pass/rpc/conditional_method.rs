//! A method that is not compiled leaves nothing behind, not even a mention of its types.

#![deny(warnings)]

use bowline::prelude::*;

#[bowline::rpc]
pub trait Chat {
    #[cfg(any())]
    async fn first(&self, text: Absent) -> Result<Absent, Absent>;

    async fn post(&self, text: String) -> u64;

    #[cfg(any())]
    #[rpc(watch)]
    fn members(&self, items: Absent) -> impl Stream<Item = Absent>;

    #[cfg(all())]
    #[rpc(notify)]
    async fn typing(&self);

    #[cfg(all())]
    async fn either(&self) -> u64;

    #[cfg(not(all()))]
    async fn either(&self) -> Absent;
}

struct Room;

impl Chat for Room {
    async fn post(&self, text: String) -> u64 {
        text.len() as u64
    }

    async fn typing(&self) {}

    async fn either(&self) -> u64 {
        2
    }
}

fn main() {
    use bowline::ServiceClient;

    let names: Vec<_> = ChatClient::SERVICE.methods.iter().map(|method| method.name).collect();
    assert_eq!(names, ["post", "typing", "either"]);
    let _ = ChatServer::new(Room);
    fn _is_stream<T: Stream>(_: T) {}
}
