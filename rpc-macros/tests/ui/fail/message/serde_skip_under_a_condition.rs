#[bowline::message]
struct User { name: String, #[cfg_attr(all(), serde(skip))] password: String }

fn main() {}
