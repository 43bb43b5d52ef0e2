#[bowline::message]
struct Outcome { result: Result<u8, String> }

fn main() {}
