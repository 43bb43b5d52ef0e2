#[bowline::message]
struct Page { #[message(with = Wrapper, schema = "id")] id: u64 }

fn main() {}
