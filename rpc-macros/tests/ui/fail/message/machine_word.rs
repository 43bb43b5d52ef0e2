#[bowline::message]
struct Page { count: usize }

fn main() {}
