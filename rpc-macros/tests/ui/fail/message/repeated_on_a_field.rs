#[bowline::message]
struct Page { id: u64, #[message(skip, skip)] cache: u64 }

fn main() {}
