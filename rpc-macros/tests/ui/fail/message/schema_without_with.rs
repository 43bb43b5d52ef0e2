#[bowline::message]
struct Page { #[message(schema = "id/1")] id: u64 }

fn main() {}
