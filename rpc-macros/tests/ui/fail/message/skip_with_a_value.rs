#[bowline::message]
struct Page { id: u64, #[message(skip = true)] cache: u64 }

fn main() {}
