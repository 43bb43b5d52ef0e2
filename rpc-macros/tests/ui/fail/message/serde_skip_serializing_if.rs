#[bowline::message]
struct User { #[serde(skip_serializing_if = "Option::is_none")] name: Option<String> }

fn main() {}
