#[bowline::message]
struct Page { parts: Option<&'static [u8]> }

fn main() {}
