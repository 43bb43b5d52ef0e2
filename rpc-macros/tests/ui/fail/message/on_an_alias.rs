#[bowline::message]
type Id = u64;

fn main() {}
