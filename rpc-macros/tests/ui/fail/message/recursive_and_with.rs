#[bowline::message]
struct Page { #[message(recursive, with = Wrapper, schema = "id/1")] id: u64 }

fn main() {}
