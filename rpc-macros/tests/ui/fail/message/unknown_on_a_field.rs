#[bowline::message]
struct Page { #[message(optional)] id: u64 }

fn main() {}
