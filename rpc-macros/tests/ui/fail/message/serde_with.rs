#[bowline::message]
struct Page { #[serde(with = "hex")] bytes: Vec<u8> }

fn main() {}
