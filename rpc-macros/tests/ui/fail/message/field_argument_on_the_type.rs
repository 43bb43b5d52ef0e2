#[bowline::message(skip)]
struct Page { id: u64 }

fn main() {}
