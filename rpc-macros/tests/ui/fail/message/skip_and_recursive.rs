#[bowline::message]
struct Page { id: u64, #[message(skip, recursive)] cache: u64 }

fn main() {}
