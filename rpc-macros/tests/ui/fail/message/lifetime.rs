#[bowline::message]
struct Page<'a> { text: std::borrow::Cow<'a, str> }

fn main() {}
