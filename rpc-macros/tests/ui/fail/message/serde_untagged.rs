#[bowline::message]
#[serde(untagged)]
enum Either { Number(u64), Text(String) }

fn main() {}
