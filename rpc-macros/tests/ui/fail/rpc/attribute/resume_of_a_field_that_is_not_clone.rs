use bowline::prelude::*;

#[bowline::message]
struct Place {
    page: u64,
}

#[bowline::message]
struct Message {
    place: Place,
}

#[bowline::rpc]
trait Chat {
    #[rpc(resume = "after: place")]
    fn messages(&self, after: Option<Place>) -> impl Stream<Item = Message>;
}

fn main() {}
