#[bowline::message]
struct Page { id: u64, #[cfg_attr(test, message(skip))] cache: u64 }

fn main() {}
