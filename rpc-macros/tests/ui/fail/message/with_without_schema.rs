#[bowline::message]
struct Page { #[message(with = Wrapper)] id: u64 }

fn main() {}
