#[bowline::message(crate)]
struct Page { id: u64 }

fn main() {}
