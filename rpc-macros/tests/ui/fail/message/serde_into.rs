#[bowline::message]
#[serde(into = "String")]
struct Email(String);

fn main() {}
