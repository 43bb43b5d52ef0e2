#[bowline::message]
struct Page { #[message(try_from = u8)] id: u64 }

fn main() {}
