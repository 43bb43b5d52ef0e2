#[bowline::message(codec = json)]
struct Page { id: u64 }

fn main() {}
