#[bowline::message]
#[serde(try_from = "String")]
struct Email(String);

fn main() {}
