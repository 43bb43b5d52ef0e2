#[bowline::rpc]
trait Chat {
    async fn post(&self) -> u64;
}

struct Room;

impl Chat for Room {
    async fn post(&self) -> u64 {
        let shared = std::rc::Rc::new(1);
        std::future::ready(()).await;
        *shared
    }
}

fn main() {}
