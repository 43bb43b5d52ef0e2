#[bowline::message]
struct Page { id: u64, #[message(skip, with = Wrapper, schema = "id/1")] cache: u64 }

fn main() {}
