#[bowline::message(try_from = 7)]
struct Page { id: u64 }

fn main() {}
