#[bowline::message]
struct User { name: String, #[serde(skip)] password: String }

fn main() {}
