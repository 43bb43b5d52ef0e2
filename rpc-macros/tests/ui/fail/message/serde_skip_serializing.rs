#[bowline::message]
struct User { name: String, #[serde(default, skip_serializing)] password: String }

fn main() {}
