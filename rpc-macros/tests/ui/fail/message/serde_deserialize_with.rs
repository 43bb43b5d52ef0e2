#[bowline::message]
struct Page { #[serde(deserialize_with = "hex::deserialize")] bytes: Vec<u8> }

fn main() {}
