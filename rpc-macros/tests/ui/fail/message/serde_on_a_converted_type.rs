#[bowline::message(try_from = String)]
#[serde(rename_all = "camelCase")]
struct Email(String);

fn main() {}
