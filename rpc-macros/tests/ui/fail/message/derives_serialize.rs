#[bowline::message]
#[derive(Debug, serde::Serialize)]
struct Page { id: u64 }

fn main() {}
