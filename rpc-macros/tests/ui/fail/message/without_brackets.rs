#[bowline::message]
struct Page { id: u64, #[message] cache: u64 }

fn main() {}
