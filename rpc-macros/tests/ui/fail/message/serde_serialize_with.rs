#[bowline::message]
struct Page { #[serde(serialize_with = "hex::serialize")] bytes: Vec<u8> }

fn main() {}
