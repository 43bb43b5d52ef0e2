#[bowline::message]
#[serde(crate = "serde")]
struct Page { id: u64 }

fn main() {}
