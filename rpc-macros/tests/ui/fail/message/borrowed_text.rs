#[bowline::message]
struct Page { text: &'static str }

fn main() {}
