#[bowline::message]
#[serde(from = "String")]
struct Email(String);

fn main() {}
